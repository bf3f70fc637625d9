"""How clients reach it: HTTP, sockets and event streams, and the pages beside them."""
