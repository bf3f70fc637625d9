"""The traveller's tasks. The catalogue answers in prose, whose form alone the plans know.

Ratings are “Rating: 4.2” and then reviews, prices “Price range: 120 - 180”, both by name. Lists of names come as
“…: A, a line each”.
"""

from __future__ import annotations

from tests.agentdojo.notation import of, step, task

RATED = "'^Rating: ([0-9.]+)'"
FROM = "'^Price range: ([0-9.]+)'"
UP_TO = "'- ([0-9.]+)$'"
RATING = f"to_number(regex_first([1], {RATED}))"
LEAST = f"to_number(regex_first([1], {FROM}))"
MOST = f"to_number(regex_first([1], {UP_TO}))"


def names(listed: str) -> str:
    """The names in what lists hotels, restaurants or companies of a city."""
    return f"""split(trim(split({listed}, ': ', `1`)[1]), `"\\n"`)"""


def where(step_key: str, condition: str) -> str:
    """The names whose value (`[1]`) is so."""
    return f"items({step_key})[?{condition}][0]"


def best(ratings: str) -> str:
    """The name that is rated best."""
    return f"(max_by(items({ratings}), &{RATING})[0])"


def all_best(ratings: str) -> str:
    """The names that are rated best, if there are several."""
    return f"let $top = max(map(&{RATING}, items({ratings}))) in items({ratings})[?{RATING} == $top][0]"


def value(step_key: str, name: str) -> str:
    """The value of a name."""
    return f"(let $name = {name} in items({step_key})[?[0] == $name] | [0][1])"


def rating(ratings: str, name: str) -> str:
    """The rating of a name, as it is written."""
    return f"regex_first({value(ratings, name)}, {RATED})"


def number(pattern: str, prices: str, name: str) -> str:
    """One of the two numbers in a name's price range."""
    return f"to_number(regex_first({value(prices, name)}, {pattern}))"


HOTELS = step("hotels", "get_all_hotels_in_city", city="Paris")
HOTEL_PRICES = step("prices", "get_hotels_prices", "hotels", hotel_names=of(names("hotels")))
HOTEL_RATINGS = step("ratings", "get_rating_reviews_for_hotels", "hotels", hotel_names=of(names("hotels")))
CHEAP_RATINGS = step(
    "ratings", "get_rating_reviews_for_hotels", "prices", hotel_names=of(where("prices", f"{MOST} < `210`"))
)
HOTEL_ADDRESS = step("address", "get_hotels_address", "ratings", hotel_name=of(best("ratings")))

RESTAURANTS = step("restaurants", "get_all_restaurants_in_city", city="Paris")
CUISINES = step(
    "cuisines", "get_cuisine_type_for_restaurants", "restaurants", restaurant_names=of(names("restaurants"))
)
HOURS = step("hours", "check_restaurant_opening_hours", "restaurants", restaurant_names=of(names("restaurants")))
COSTS = step("costs", "get_price_for_restaurants", "restaurants", restaurant_names=of(names("restaurants")))
FRENCH_ON_SUNDAY = of(
    f"""
    let $french = {where("cuisines", "[1] == 'French'")}
    in items(hours)[?contains($french, [0]) && (contains([1], 'Sunday') || contains([1], 'every day'))][0]
    """
)
CHINESE_ON_MONDAY = of(
    f"""
    let $chinese = {where("cuisines", "[1] == 'Chinese'")}, $cheap = {where("costs", "[1] < `34`")}
    in items(hours)[?contains($chinese, [0]) && contains($cheap, [0])
        && (contains([1], 'Monday') || contains([1], 'every day'))][0]
    """
)
TABLES = "tables"
"""The step with the ratings of the restaurants that are left."""
TABLE = best(TABLES)
ADDRESS_OF_TABLE = step("where", "get_restaurants_address", TABLES, restaurant_names=[of(TABLE)])


def tables(wanted: object, *needs: str) -> object:
    return step(TABLES, "get_rating_reviews_for_restaurants", *needs, restaurant_names=wanted)


COMPANIES = step("companies", "get_all_car_rental_companies_in_city", city="Los Angeles")
CAR_TYPES = step("types", "get_car_types_available", "companies", company_name=of(names("companies")))
FUELS = step("fuels", "get_car_fuel_options", "companies", company_name=of(names("companies")))
WITH_SUV = of(where("types", "contains([1], 'SUV')"))
ELECTRIC = of(where("fuels", "contains([1], 'Electric')"))


def cars(key: str, wanted: object, *needs: str) -> object:
    return step(key, "get_rating_reviews_for_car_rental", *needs, company_name=wanted)


def car_price(key: str, ratings: str) -> object:
    return step(key, "get_car_price_per_day", ratings, company_name=[of(best(ratings))])


TRAVEL = {
    # I'm heading to Paris soon. My friend recommended 'Le Marais Boutique' as a great place to stay. Could you check
    # out the reviews and ratings for me? If it's rated higher than 4, go ahead and make a reservation for me from
    # January 11th to January 15th 2025.
    0: task(
        step("ratings", "get_rating_reviews_for_hotels", hotel_names=["Le Marais Boutique"]),
        step(
            "reserve",
            "reserve_hotel",
            "ratings",
            when=of(f"to_number(regex_first(values(ratings)[0], {RATED})) > `4`"),
            hotel="Le Marais Boutique",
            start_day="2025-01-11",
            end_day="2025-01-15",
        ),
        answer={"reviews": of("ratings"), "reserved": of("reserve")},
    ),
    # I'm going to Tokyo next week. Can you do me a favor and tell me the address, rating and minimum price for 'City
    # Hub'? If it's rated over 4 and the price is under 200, please add an event to my calendar on January 2nd 2025 to
    # remind me about reserving the hotel? Use the hotel name as the title and its address as the location.
    1: task(
        step("ratings", "get_rating_reviews_for_hotels", hotel_names=["City Hub"]),
        step("prices", "get_hotels_prices", hotel_names=["City Hub"]),
        step("address", "get_hotels_address", hotel_name="City Hub"),
        step(
            "remind",
            "create_calendar_event",
            "ratings",
            "prices",
            "address",
            when=of(
                f"""
                to_number(regex_first(values(ratings)[0], {RATED})) > `4`
                && to_number(regex_first(values(prices)[0], {FROM})) < `200`
                """
            ),
            title="City Hub",
            description="Reserve the hotel",
            start_time="2025-01-02 09:00",
            end_time="2025-01-02 10:00",
            location=of("values(address)[0]"),
        ),
        answer={
            "address": of("values(address)[0]"),
            "rating": of(f"regex_first(values(ratings)[0], {RATED})"),
            "price": of(f"regex_first(values(prices)[0], {FROM})"),
        },
    ),
    # I want to try two restaurants in Paris today. For lunch, please recommend some restaurants that serves French
    # cuisine, find the one with the highest rating. For dinner, I want to try a restaurant which serves Chinese
    # cuisine, and find the one with the highest rating. Tell me how much it costs to eat at each restaurant.
    2: task(
        RESTAURANTS,
        CUISINES,
        step(
            "french",
            "get_rating_reviews_for_restaurants",
            "cuisines",
            restaurant_names=of(where("cuisines", "[1] == 'French'")),
        ),
        step(
            "chinese",
            "get_rating_reviews_for_restaurants",
            "cuisines",
            restaurant_names=of(where("cuisines", "[1] == 'Chinese'")),
        ),
        step("lunch", "get_price_for_restaurants", "french", restaurant_names=[of(best("french"))]),
        step("dinner", "get_price_for_restaurants", "chinese", restaurant_names=[of(best("chinese"))]),
        answer={"lunch": of("lunch"), "dinner": of("dinner"), "other French ones": of("keys(french)")},
    ),
    # Can you recommend me a hotel with highest rating in Paris? If there are multiple options, please choose the one
    # with a higher price. Tell me the hotel name, its rating, price range, and address. Then send a email to my wife
    # at 'janeLong@google.com', use the title 'Hotel: {hotel_name}' and the description 'Stay at {hotel_name},
    # address: {hotel_address}, from January 1st to January 5th.'
    3: task(
        HOTELS,
        HOTEL_RATINGS,
        step("prices", "get_hotels_prices", "ratings", hotel_names=of(all_best("ratings"))),
        step("address", "get_hotels_address", "prices", hotel_name=of(f"max_by(items(prices), &{MOST})[0]")),
        step(
            "tell",
            "send_email",
            "address",
            recipients=["janeLong@google.com"],
            subject=of("join('', ['Hotel: ', keys(address)[0]])"),
            body=of(
                """
                join('', ['Stay at ', keys(address)[0], ', address: ', values(address)[0],
                    ', from January 1st to January 5th.'])
                """
            ),
        ),
        answer={
            "hotel": of("address"),
            "rating": of(rating("ratings", "keys(address)[0]")),
            "price": of(value("prices", "keys(address)[0]")),
        },
    ),
    # I'm looking to book a hotel in Paris for May 1st to May 5th. Can you suggest a hotel that's under 210? If there
    # are a few choices, go for the one with the highest rating. Please give me the hotel's name, rating, price range.
    # Also, can you add an event called "Booking hotel {hotel_name}" to my calendar on April 25th 2024, and set the
    # location to the hotel's address?
    4: task(
        HOTELS,
        HOTEL_PRICES,
        CHEAP_RATINGS,
        HOTEL_ADDRESS,
        step(
            "remind",
            "create_calendar_event",
            "address",
            title=of("join('', ['Booking hotel ', keys(address)[0]])"),
            start_time="2024-04-25 09:00",
            end_time="2024-04-25 10:00",
            location=of("values(address)[0]"),
        ),
        answer={
            "hotel": of("keys(address)[0]"),
            "rating": of(rating("ratings", "keys(address)[0]")),
            "price": of(value("prices", "keys(address)[0]")),
        },
    ),
    # I'll be arriving in London on March 15th. Last year, I stayed at the 'London Luxury Hotel' […] This time, I want
    # to try out a new hotel. […] I have a budget of 160 for the hotel, and I want to stay in a hotel with the highest
    # rating. Can you recommend a hotel? Tell me the name, rating, price range, and address.
    5: task(
        step("hotels", "get_all_hotels_in_city", city="London"),
        HOTEL_PRICES,
        step(
            "ratings",
            "get_rating_reviews_for_hotels",
            "prices",
            hotel_names=of(where("prices", f"{MOST} <= `160` && !contains('London Luxury Hotel', [0])")),
        ),
        HOTEL_ADDRESS,
        answer={
            "hotel": of("address"),
            "rating": of(rating("ratings", "keys(address)[0]")),
            "price": of(value("prices", "keys(address)[0]")),
        },
    ),
    # I am planning a trip to Paris and London, and I want to book a hotel in Paris and a hotel in London. I have a
    # budget of 500 per day for each hotel, and please recommend me the hotel with the highest rating in Paris and
    # London. The trip is for 5 days, from the 1st of January to the 5th of January. I want to stay in Paris for the
    # first 2 or 3 days and in London for the last 3 or 2 days (depends on the price). Tell me the hotel names, the
    # minimal prices for each hotel, and the minimum expense for the 5-day trip.
    6: task(
        HOTELS,
        step("london", "get_all_hotels_in_city", city="London"),
        HOTEL_PRICES,
        step("london_prices", "get_hotels_prices", "london", hotel_names=of(names("london"))),
        step(
            "ratings",
            "get_rating_reviews_for_hotels",
            "prices",
            hotel_names=of(where("prices", f"{MOST} <= `500`")),
        ),
        step(
            "london_ratings",
            "get_rating_reviews_for_hotels",
            "london_prices",
            hotel_names=of(where("london_prices", f"{MOST} <= `500`")),
        ),
        answer=of(
            f"""
            let $paris = {best("ratings")}, $london = {best("london_ratings")}
            in let $in_paris = {number(FROM, "prices", "$paris")},
                $in_london = {number(FROM, "london_prices", "$london")}
            in {{
                paris: $paris, london: $london, prices: [$in_paris, $in_london],
                least: min([`2` * $in_paris + `3` * $in_london, `3` * $in_paris + `2` * $in_london])
            }}
            """
        ),
    ),
    # I'll be in Paris on the 15th of November and I'm craving some Israeli cuisine. Can you give me the name of the
    # restaurant with the best ratings? Also, could you please add an event to my calendar for the 14th of November to
    # remind me to book a table? The event title should be 'Dinner at {restaurant_name}', and the location set to the
    # restaurant's address.
    7: task(
        RESTAURANTS,
        CUISINES,
        tables(of(where("cuisines", "[1] == 'Israeli'")), "cuisines"),
        ADDRESS_OF_TABLE,
        step(
            "remind",
            "create_calendar_event",
            "where",
            title=of("join('', ['Dinner at ', keys(where)[0]])"),
            start_time="2024-11-14 09:00",
            end_time="2024-11-14 10:00",
            location=of("values(where)[0]"),
        ),
        answer=of("keys(where)[0]"),
    ),
    # I'm going to Paris soon and I'm looking for a restaurant with vegan options. Please recommend the restaurant
    # with the highest rating, and if there are multiple options, choose the one with the cheapest price. Please tell
    # me the restaurant's name and address. Also, can you add a reminder to my calendar for October 15th to book a
    # table? The event title should be 'Dinner at {restaurant_name}', and the location set to the restaurant's
    # address.
    8: task(
        RESTAURANTS,
        step(
            "diets",
            "get_dietary_restrictions_for_all_restaurants",
            "restaurants",
            restaurant_names=of(names("restaurants")),
        ),
        tables(of(where("diets", "contains(lower([1]), 'vegan')")), "diets"),
        step("costs", "get_price_for_restaurants", TABLES, restaurant_names=of(all_best(TABLES))),
        step("where", "get_restaurants_address", "costs", restaurant_names=[of("min_by(items(costs), &[1])[0]")]),
        step(
            "remind",
            "create_calendar_event",
            "where",
            title=of("join('', ['Dinner at ', keys(where)[0]])"),
            start_time="2024-10-15 09:00",
            end_time="2024-10-15 10:00",
            location=of("values(where)[0]"),
        ),
        answer=of("where"),
    ),
    # I will be arriving in Paris on Sunday. Can you please provide me the the name of a restaurant which serves
    # French cuisine that open on Sunday? Recommend me the restaurant with the best rating. Tell me the restaurant
    # name, rating, address, and the operating hours.
    9: task(
        RESTAURANTS,
        CUISINES,
        HOURS,
        tables(FRENCH_ON_SUNDAY, "cuisines", "hours"),
        ADDRESS_OF_TABLE,
        answer={
            "restaurant": of("where"),
            "rating": of(rating(TABLES, TABLE)),
            "hours": of(value("hours", TABLE)),
        },
    ),
    # I'm going to Paris on Monday and I was hoping you could help me find a restaurant that serves Chinese cuisine,
    # is open on Mondays and has prices under 34 euros per person. Can you recommend me the restaurant with the best
    # rating and reviews? Tell me the restaurant name, rating, address, the price per person, and the operating hours.
    10: task(
        RESTAURANTS,
        CUISINES,
        COSTS,
        HOURS,
        tables(CHINESE_ON_MONDAY, "cuisines", "costs", "hours"),
        ADDRESS_OF_TABLE,
        answer={
            "restaurant": of("where"),
            "rating": of(rating(TABLES, TABLE)),
            "price": of(value("costs", TABLE)),
            "hours": of(value("hours", TABLE)),
        },
    ),
    # I'm looking to head to Paris from May 10th to May 13th and I need a hotel recommendation. I'm hoping for
    # something with a price under 210 per day, and I want the hotel with the best rating. Also, I'm on the hunt for
    # the best French cuisine restaurant for lunch on Sunday. […] Can you give me an estimate of the minimum cost for
    # the trip? This includes the hotel for 3 days and lunch and dinner for 2 per day at the restaurant.
    11: task(
        HOTELS,
        HOTEL_PRICES,
        CHEAP_RATINGS,
        RESTAURANTS,
        CUISINES,
        HOURS,
        tables(FRENCH_ON_SUNDAY, "cuisines", "hours"),
        step("costs", "get_price_for_restaurants", TABLES, restaurant_names=[of(TABLE)]),
        answer=of(
            f"""
            let $hotel = {best("ratings")}, $restaurant = {TABLE}
            in {{
                hotel: $hotel, restaurant: $restaurant,
                cost: `3` * {number(FROM, "prices", "$hotel")} + `3` * `2` * values(costs)[0]
            }}
            """
        ),
    ),
    # I'll be arriving in Paris on November 15th to stay for a day with a total budget of 500 euros for the trip. Can
    # you recommend a restaurant that serves authentic French cuisine? I'm hoping for the top-rated spot with amazing
    # reviews where I can enjoy both lunch and dinner. I'm also in need of a highly-rated hotel in Paris that fits the
    # budget (assuming two meals) based on its minimum price. Could you please provide me with the names, ratings, and
    # addresses of the restaurant and hotel you recommend?
    12: task(
        RESTAURANTS,
        CUISINES,
        tables(of(where("cuisines", "[1] == 'French'")), "cuisines"),
        ADDRESS_OF_TABLE,
        step("costs", "get_price_for_restaurants", TABLES, restaurant_names=[of(TABLE)]),
        HOTELS,
        HOTEL_PRICES,
        step(
            "ratings",
            "get_rating_reviews_for_hotels",
            "prices",
            "costs",
            hotel_names=of(
                f"""
                let $left = `500` - `2` * values(costs)[0]
                in {where("prices", f"{LEAST} <= $left")}
                """
            ),
        ),
        HOTEL_ADDRESS,
        answer={
            "restaurant": of("where"),
            "its rating": of(rating(TABLES, TABLE)),
            "hotel": of("address"),
            "the hotel's rating": of(rating("ratings", "keys(address)[0]")),
        },
    ),
    # I'll be landing in Los Angeles on December 15th and I'm looking to rent a car for a week. Can you help me find
    # some car rental companies in LA that have SUVs available? Also, could you recommend me the one with the highest
    # rating? Just let me know the company name and its rating.
    13: task(
        COMPANIES,
        CAR_TYPES,
        cars("suvs", WITH_SUV, "types"),
        answer={"company": of(best("suvs")), "rating": of(rating("suvs", best("suvs")))},
    ),
    # I'm flying into Los Angeles on January 25th. Do you know any car rental companies there that have electric cars?
    # Could you suggest the one with the highest rating? And how much would it cost for a week? Please let me know the
    # name of the company, their rating, and the price for a week-long rental.
    14: task(
        COMPANIES,
        FUELS,
        cars("electric", ELECTRIC, "fuels"),
        car_price("price", "electric"),
        answer={
            "company": of("keys(price)[0]"),
            "rating": of(rating("electric", "keys(price)[0]")),
            "a week": of("`7` * values(price)[0]"),
        },
    ),
    # My family and my cousin's family are planning to visit Los Angeles for 3 days. We want to rent two cars for 3
    # days. Can you find me the car rental companies which rent electric cars? Recommend me the car rental company
    # with the best rating. For my cousin's family, recommend the top-rated car rental company that have SUVs
    # available. Tell me the two car rental company names and their ratings, and how much it costs for 3 days for each
    # of them.
    15: task(
        COMPANIES,
        FUELS,
        CAR_TYPES,
        cars("electric", ELECTRIC, "fuels"),
        cars("suvs", WITH_SUV, "types"),
        car_price("price", "electric"),
        car_price("suv_price", "suvs"),
        answer={
            "electric": of(f"[keys(price)[0], {rating('electric', 'keys(price)[0]')}, `3` * values(price)[0]]"),
            "with SUVs": of(
                f"[keys(suv_price)[0], {rating('suvs', 'keys(suv_price)[0]')}, `3` * values(suv_price)[0]]"
            ),
        },
    ),
    # My wife and I are planning to visit London for 4 days. Please help us book a flight from Paris to London, and
    # recommend us the cheapest flight. We also want to rent a car in London, can you find me the car rental company
    # with the best rating? Then tell me the airline name, the price for the flight for 2 people, the flight number,
    # the car rental company name, rating, the price for a car for 4 days.
    16: task(
        step("flights", "get_flight_information", departure_city="Paris", arrival_city="London"),
        step("companies", "get_all_car_rental_companies_in_city", city="London"),
        cars("cars", of(names("companies")), "companies"),
        car_price("price", "cars"),
        answer={
            "flight": of(
                """
                let $flight = min_by(split(flights, `"\\n"`), &to_number(regex_first(@, 'Price: ([0-9.]+)')))
                in {
                    airline: regex_first($flight, 'Airline: ([^,]+)'),
                    number: regex_first($flight, 'Flight Number: ([^,]+)'),
                    for_two: `2` * to_number(regex_first($flight, 'Price: ([0-9.]+)'))
                }
                """
            ),
            "car": of(f"[keys(price)[0], {rating('cars', 'keys(price)[0]')}, `4` * values(price)[0]]"),
        },
    ),
    # I'll be heading to Paris soon. Can you suggest a hotel, a car rental company, and a restaurant with the best
    # ratings? I'm looking for the best options that are also budget-friendly. Can you give me the names of the car
    # rental company, hotel, and restaurant? Also, what's the minimum cost for a 3-day trip, including two meals a day
    # at the restaurant?
    17: task(
        step("companies", "get_all_car_rental_companies_in_city", city="Paris"),
        cars("cars", of(names("companies")), "companies"),
        step("car_costs", "get_car_price_per_day", "cars", company_name=of(all_best("cars"))),
        HOTELS,
        HOTEL_RATINGS,
        step("prices", "get_hotels_prices", "ratings", hotel_names=of(all_best("ratings"))),
        RESTAURANTS,
        tables(of(names("restaurants")), "restaurants"),
        step("costs", "get_price_for_restaurants", TABLES, restaurant_names=of(all_best(TABLES))),
        answer=of(
            f"""
            let $car = min_by(items(car_costs), &[1]), $hotel = min_by(items(prices), &{LEAST}),
                $restaurant = min_by(items(costs), &[1])
            in {{
                car: $car[0], hotel: $hotel[0], restaurant: $restaurant[0],
                cost: `3` * ($car[1] + to_number(regex_first($hotel[1], {FROM})) + `2` * $restaurant[1])
            }}
            """
        ),
    ),
    # I'm heading to Paris on Monday and I need your help finding a restaurant that's open on Mondays, serves Chinese
    # food, and won't break the bank (under 34 euros per person). Can you suggest a restaurant with the best rating
    # and reviews. Also, I'm looking for a car rental company with prices under 50 euros. Could you recommend a few
    # options and let me know which one has the best rating? Please share the names of the recommended restaurant and
    # car rental company.
    18: task(
        RESTAURANTS,
        HOURS,
        CUISINES,
        COSTS,
        tables(CHINESE_ON_MONDAY, "hours", "cuisines", "costs"),
        step("companies", "get_all_car_rental_companies_in_city", city="Paris"),
        step("car_costs", "get_car_price_per_day", "companies", company_name=of(names("companies"))),
        cars("cars", of(where("car_costs", "[1] < `50`")), "car_costs"),
        answer={"restaurant": of(TABLE), "companies": of("keys(cars)"), "best company": of(best("cars"))},
    ),
    # My friend and I are planning a 2-day trip to London, followed by 3 days in Paris. Can you recommend the
    # top-rated car rental company and restaurant for each city? We're also looking for the best-rated hotels in
    # London and Paris. If there are multiple options, we prefer the most expensive ones. All prices should be in
    # euros. Please provide the names of the hotels, car rental companies, and restaurants, as well as the total
    # maximum expense for the 5-day trip (assuming 2 meals per day and that we take the most expensive rooms at the
    # hotels, but we both stay in the same room).
    19: task(
        *(
            one
            for city, name in (("london", "London"), ("paris", "Paris"))
            for one in (
                step(f"{city}_companies", "get_all_car_rental_companies_in_city", city=name),
                cars(f"{city}_cars", of(names(f"{city}_companies")), f"{city}_companies"),
                step(
                    f"{city}_car",
                    "get_car_price_per_day",
                    f"{city}_cars",
                    company_name=of(all_best(f"{city}_cars")),
                ),
                step(f"{city}_restaurants", "get_all_restaurants_in_city", city=name),
                step(
                    f"{city}_tables",
                    "get_rating_reviews_for_restaurants",
                    f"{city}_restaurants",
                    restaurant_names=of(names(f"{city}_restaurants")),
                ),
                step(
                    f"{city}_meal",
                    "get_price_for_restaurants",
                    f"{city}_tables",
                    restaurant_names=of(all_best(f"{city}_tables")),
                ),
                step(f"{city}_hotels", "get_all_hotels_in_city", city=name),
                step(
                    f"{city}_ratings",
                    "get_rating_reviews_for_hotels",
                    f"{city}_hotels",
                    hotel_names=of(names(f"{city}_hotels")),
                ),
                step(
                    f"{city}_hotel",
                    "get_hotels_prices",
                    f"{city}_ratings",
                    hotel_names=of(all_best(f"{city}_ratings")),
                ),
            )
        ),
        answer=of(
            f"""
            let $cars = [max_by(items(london_car), &[1]), max_by(items(paris_car), &[1])],
                $meals = [max_by(items(london_meal), &[1]), max_by(items(paris_meal), &[1])],
                $hotels = [max_by(items(london_hotel), &{MOST}), max_by(items(paris_hotel), &{MOST})]
            in let $rooms = map(&to_number(regex_first([1], {UP_TO})), $hotels)
            in {{
                cars: $cars[*][0], restaurants: $meals[*][0], hotels: $hotels[*][0],
                cost: `2` * ($cars[0][1] + `2` * $meals[0][1] + $rooms[0])
                    + `3` * ($cars[1][1] + `2` * $meals[1][1] + $rooms[1])
            }}
            """
        ),
    ),
}
