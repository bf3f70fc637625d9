"""How the steps of an elaborate run are settled: under the run's lock, in rounds, until nothing follows any more.

A round (`turn`) settles outcomes, gives steps that wait for nothing the state that their conditions, lists and
references lead to, and says which others it freed. What those lead to needs their expressions, which no statement can
evaluate: so the engine looks at them (`facts`) and makes another round. At the end the run's own state follows
(`conclude`), with its answer. `begin` stores such a run, `redrive` sends its dead letters back.
"""
