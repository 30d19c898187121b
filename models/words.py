"""Who and what the stories are about."""

from __future__ import annotations

from models.grammar import Character, Place, Teller, Thing, fill

GIRLS = ("Mia", "Lily", "Anna", "Ella", "Zoe", "Nora", "Lucy", "Emma", "Amy", "Sara", "Ivy", "Rosa")
BOYS = ("Tom", "Ben", "Max", "Sam", "Leo", "Tim", "Jack", "Finn", "Dan", "Nick", "Adam", "Luke")
SHE_ANIMALS = ("Dot", "Bella", "Coco", "Honey", "Penny", "Hazel")
HE_ANIMALS = ("Pip", "Gus", "Toby", "Rusty", "Milo", "Otto")
KINDS = ("rabbit", "bear", "fox", "mouse", "cat", "duck", "frog", "squirrel", "turtle", "pig", "goat")
RELATIVES = (
    Character("Mom", "mom", True),
    Character("Mom", "mom", True),
    Character("Dad", "dad", False),
    Character("Dad", "dad", False),
    Character("Grandma", "grandma", True),
    Character("Grandpa", "grandpa", False),
)

COLOURS = ("red", "blue", "green", "yellow")
TOYS = {
    "ball": ("roll it [across the floor|down the hall|over the grass]", "throw it high and catch it"),
    "kite": ("[run with it|watch it dance] in the wind", "fly it high [in the sky|over the hill]"),
    "boat": ("float it in the [bath|pond]", "sail it [on the pond|across the water]"),
    "car": ("drive it [up and down the hall|around the table]", "race it [down the path|over the rug]"),
    "train": ("push it [along the wall|around the room]", "make it go choo choo"),
    "doll": ("comb its hair", "take it [everywhere|to bed]", "have tea with it"),
    "drum": ("play a [loud|happy] song on it", "beat it and [march|dance] around"),
    "book": ("look at the pictures in it", "read it [in bed|under the tree]"),
    "hat": ("wear it [all day|every day]", "wear it [in the sun|in the garden]"),
    "scarf": ("wear it [all day|on cold days]", "wrap it around [{hero.his} neck|{hero.himself}]"),
    "bell": ("make it ring", "ring it [in the morning|at dinner time]"),
    "robot": ("make it walk [across the floor|around the room]", "pretend it could talk"),
    "bucket": ("fill it with [sand|water|stones]", "carry [stones|shells|leaves] in it"),
    "top": ("spin it [on the floor|on the table]", "watch it spin [round and round|fast]"),
}
FOODS = ("apple", "cookie", "pie", "cake", "pear", "muffin", "sandwich", "banana")
PLACES = (
    Place(
        "the park",
        "in the park",
        ("under a bench", "behind a big tree", "in the bushes", "by the slide"),
        ("a man with a big dog", "ducks on the pond", "children on the swings", "a squirrel in a tree"),
    ),
    Place(
        "the garden",
        "in the garden",
        ("behind the flowers", "under a leaf", "next to the wall", "by the gate"),
        ("a fat worm", "bees on the flowers", "a snail on a leaf", "a bird in its nest"),
    ),
    Place(
        "the forest",
        "in the forest",
        ("behind a rock", "under a bush", "in a hollow tree", "under the leaves"),
        ("a deer with big eyes", "tall, tall trees", "mushrooms under a tree", "an owl on a branch"),
    ),
    Place(
        "the beach",
        "at the beach",
        ("behind a rock", "in the sand", "under a towel", "next to a boat"),
        ("a crab in the sand", "big waves", "white birds over the sea", "a boat on the water"),
    ),
    Place(
        "the farm",
        "at the farm",
        ("in the hay", "behind the barn", "under a cart", "by the fence"),
        ("a cow with a bell", "pigs in the mud", "a hen with six chicks", "a brown horse"),
    ),
    Place(
        "the river",
        "by the river",
        ("under the bridge", "in the long grass", "behind a stone", "next to a log"),
        (
            "a frog on a stone",
            "little fish in the water",
            "a duck with her babies",
            "a boat under the bridge",
        ),
    ),
    Place(
        "the hill",
        "on the hill",
        ("in the long grass", "behind a stone", "under a tree", "by the fence"),
        ("sheep in the grass", "clouds like cotton", "the whole town", "a hawk in the sky"),
    ),
)
HOUSE = Place(
    "the house",
    "in the house",
    (
        "under the bed",
        "behind the sofa",
        "in the toy box",
        "under the table",
        "behind the door",
        "in the basket",
    ),
    ("a spider on the wall",),
)


def cast(t: Teller, *, animals: bool | None = None) -> None:
    """Set hero, friend, adult and place: children among children, or animals among animals."""
    if animals is None:
        animals = t.likely(0.35)
    she, other = t.likely(0.5), t.likely(0.5)
    girls, boys = (SHE_ANIMALS, HE_ANIMALS) if animals else (GIRLS, BOYS)
    name = t.pick(girls if she else boys)
    second = t.pick([n for n in (girls if other else boys) if n != name])
    kind, kin = t.two(KINDS) if animals else ("girl" if she else "boy", "girl" if other else "boy")
    t["hero"], t["friend"] = Character(name, kind, she), Character(second, kin, other)
    t["animals"] = animals
    t["adult"] = t.pick(RELATIVES)
    t["place"], t["home"] = t.two(PLACES)


def toy(t: Teller, key: str = "thing", *, only: tuple[str, ...] = ()) -> None:
    """Set a slot to a toy; ``{thing.use}`` is then something its owner loves to do with it."""
    noun = t.pick(only or tuple(TOYS))
    adjective = t.pick(COLOURS) if t.likely(0.75) else t.pick(("little", "new", "old", "shiny"))
    use = fill(t.pick(TOYS[noun]), t.slots, t.rng)
    t[key] = Thing(noun, adjective, use)


def opening(t: Teller, trait: str = "") -> None:
    """The first sentence. ``trait`` is an adjective which the plot will need."""
    t["trait"] = trait or t.pick(("little", "little", "happy", "kind", "small", "young", "funny", "good"))
    once = "[once upon a time, there was|once upon a time, there was|once upon a time, there lived"
    once += "|once upon a time, in a [small town|little village|green valley|house by {home}], there lived"
    if t.likely(0.7):
        t.say(once + "] a {trait} {hero.kind} [named|named|called] {hero}.")
        return
    t.say(
        "[there was once|long ago, there lived] a {trait} {hero.kind} [named|called] {hero}.",
        "{hero} was a {trait} {hero.kind} who lived [near {home}|with {hero.his} {adult.common}|in a little house].",
    )


def day(t: Teller) -> str:
    """A beginning such as "One sunny day,"; also usable within a template."""
    return t.pick(
        ("one [sunny |warm |fine |bright ||]day,", "one [sunny|warm|quiet|cool|fine] [morning|afternoon],")
    )
