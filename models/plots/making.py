"""Plots about making something: building, cooking, planting, wishing."""

from __future__ import annotations

from models.grammar import Teller
from models.words import cast, day, opening

BUILDS = (
    ("tree house", "wood and nails", "the floor broke", "used thicker wood"),
    ("boat", "wood and string", "it filled with water", "closed every hole with wax"),
    ("tower", "blocks and stones", "it fell down", "made the bottom wider"),
    ("sand castle", "sand and shells", "a wave washed it away", "built it farther from the sea"),
    ("snowman", "snow and a carrot", "the head fell off", "made the head smaller"),
    ("bridge", "logs and rope", "it broke in the middle", "put a big stone under it"),
    ("kite", "paper and sticks", "it did not fly", "gave it a longer tail"),
    ("cart", "wood and four wheels", "a wheel came off", "tied the wheels with wire"),
)


def build(t: Teller) -> None:
    """It goes wrong once; a better idea makes it hold."""
    cast(t)
    t["work"], t["stuff"], t["failure"], t["cure"] = t.pick(BUILDS)
    t["name"] = t.pick(("Sunny", "Star", "Big Ben", "Rainbow", "Lucky"))
    opening(t, t.pick(("little", "clever", "busy", "happy", "smart")))
    t.say(
        "{hero} liked to [build|make] things.",
        "{hero} and {hero.his} friend {friend} liked to build things together.",
        "{hero} had many ideas in {hero.his} head.",
    )
    if t["work"] == "snowman":
        t.say(
            "one cold day, there was snow everywhere. {hero} wanted to make a snowman with {friend}.",
            'one winter morning, everything was white. "let us make a snowman!" {hero} said to {friend}.',
        )
    else:
        t.say(
            day(t) + ' {hero.he} said to {friend}, "let us [build|make] a {work}!"',
            day(t) + " {hero} wanted to [build|make] a {work}. {friend} wanted to help.",
        )
    t.say(
        "they [got|found|looked for] {stuff}. then they [began|started] to work.",
        "{friend} brought {stuff}, and they worked all morning.",
    )
    t.maybe(
        0.5,
        "{hero} was the [boss|builder], and {friend} [helped|held everything]. it was [hard work|a lot of fun].",
        "they [worked and sang|worked and talked|laughed a lot]. soon the {work} was done.",
    )
    t.say(
        'but then {failure}! "[oh no|all that work]," said {friend}.',
        '"[it is done|finished]!" said {hero}. but then {failure}.',
    )
    t.maybe(
        0.5,
        '{hero} was [sad|angry] and wanted to [give up|stop]. "[it is no good|we cannot do it]," {hero.he} said.',
        '"[now it is all for nothing|i do not want to try again]," said {hero}. {hero.he} sat down and was sad.',
    )
    t.say(
        '"let us [think|think again|ask {adult}]," said {friend}. "why did it go wrong?"',
        '{hero.his} {adult.common} saw it and said, "every builder makes mistakes. [think about it|think again]."',
    )
    t.say(
        "{hero} thought hard. then {hero.he} had an idea. this time they {cure}.",
        '"i know!" said {hero}. so they started again, and they {cure}.',
    )
    t.maybe(
        0.5,
        "they waited. [everything was fine|nothing bad happened|it was perfect]!",
        "and it [worked|was good]! the {work} was even better than before.",
    )
    t.maybe(
        0.5,
        '"hooray!" they [cried|called]. they named the {work} {name}.',
        '{friend} laughed. "we did it!" and they danced around the {work}.',
        "everyone came to look at the {work}. {hero} and {friend} were proud.",
    )
    t.say(
        "{hero} learned that a mistake can be the start of a better idea.",
        "they played with the {work} until [the sun went down|the stars came out].",
        "if something goes wrong, [try again|think and try again].",
    )


def cook(t: Teller) -> None:
    """A dish goes wrong by one wrong thing, and is saved or laughed about."""
    cast(t)
    t["dish"], t["need"], t["right"], t["wrong"] = t.pick(
        (
            ("cake", "flour, eggs and milk", "sugar", "salt"),
            ("soup", "carrots, beans and water", "salt", "sugar"),
            ("pancakes", "flour, eggs and milk", "sugar", "salt"),
            ("bread", "flour and water", "salt", "sand"),
            ("jam", "red berries and water", "sugar", "salt"),
        )
    )
    opening(t)
    plural = t["dish"] == "pancakes"
    t["it"], t["was"] = ("them", "were") if plural else ("it", "was")
    t["they"] = "they" if plural else "it"
    t["some"] = "some" if plural or t["dish"] in ("bread", "jam", "soup") else "a"
    t.say(
        "{hero} wanted to [surprise {hero.his} {adult.common}|do something nice for {hero.his} {adult.common}].",
        "{hero} liked to [help in the kitchen|cook].",
    )
    t.say(
        day(t) + " {hero} and {friend} wanted to make {some} {dish} for {adult}.",
        day(t) + ' {hero} said to {friend}, "let us make {some} {dish} for my {adult.common}."',
    )
    t.say(
        "they took {need}. {hero} [mixed|put] everything in a big [bowl|pot].",
        "{friend} got {need}, and {hero} [mixed|stirred] everything.",
    )
    t.say(
        '"now the {right}," said {hero}. {friend} gave {hero.him} a [white bag|white box]. they put in three big spoons.',
        '"we need some {right}," {hero} said, and took three big spoons from a [white box|white bag].',
    )
    t.maybe(
        0.5,
        "the {dish} smelled so good! they [could not wait|were hungry].",
        "then the {dish} {was} [ready|done]. {they} looked very good.",
    )
    t.say(
        '{hero} [took a bite|tasted {it}] and made a face. "[yuck|oh no]! That was not {right}, it was {wrong}!"',
        '{friend} tasted {it} first. "ugh! [that was the {wrong}|we took the {wrong}], not the {right}!"',
    )
    t.maybe(
        0.5,
        "{hero} wanted to cry. all that work for nothing!",
        "they looked at each other. [what now|what could they do]?",
        "{hero} [was sad|sat down on the floor]. nobody could eat that.",
    )
    t.say(
        'then {adult} came in. {adult.he} looked at the mess and [laughed|began to laugh]. "[that happened to me too|it is not so bad]," {adult.he} said.',
        "{adult} came in and tasted {it} too. {adult.he} made such a funny face that they all laughed.",
    )
    t.say(
        '"let us make {some} new {dish}," said {adult}. "this time we [taste first|read what is on the bag]!"',
        "so they made {some} new {dish}, all three of them. this time {hero} tasted the {right} first.",
    )
    t.maybe(
        0.5,
        "the new {dish} {was} [very good|wonderful|sweet and good]."
        if t["right"] == "sugar"
        else "the new {dish} {was} [very good|wonderful|hot and good].",
        "they ate [all of {it}|every bit] and were [full and happy|happy].",
    )
    t.say(
        "after that, {hero} always tasted first.",
        'and when someone makes a mistake now, they say, "did you take the {wrong}?" and laugh.',
        "it was the [funniest|best] day they ever had in the kitchen.",
        "{hero} learned to look twice and to laugh about mistakes.",
    )


def plant(t: Teller) -> None:
    """A seed needs water and patience."""
    cast(t)
    t["seed"], t["plant"], t["end"] = t.pick(
        (
            ("a small black seed", "sunflower", "was taller than {hero}"),
            ("a white seed", "pumpkin", "was as big as a chair"),
            ("an apple seed", "little apple tree", "had its first leaf"),
            ("a bean", "bean plant", "climbed up the wall"),
            ("a tiny seed", "red flower", "smelled so sweet"),
            ("a seed", "strawberry plant", "had three red berries"),
        )
    )
    t["end"] = t["end"].format(hero=t["hero"])
    opening(t)
    t.say(
        '{hero.his} {adult.common} gave {hero.him} {seed}. "what is it?" asked {hero}. "wait and see," said {adult}.',
        day(t)
        + ' {hero} found {seed} [on the path|in {hero.his} pocket]. "put it in the ground," said {hero.his} {adult.common}.',
    )
    t.say(
        "{hero} made a [hole|little hole] in the ground, put the seed in and gave it water.",
        "{hero} [put|planted] it in the garden, in a place with a lot of sun.",
    )
    t.maybe(
        0.5,
        "the next morning, {hero} ran out to look. [nothing|there was nothing]!",
        "{hero} sat down next to it and waited. nothing happened.",
    )
    t.say(
        '"[why does it not grow|when will it grow|is it broken]?" {hero.he} asked. "[you must wait|it needs time]," said {adult}. "[water it every day|be patient]."',
        '"it does not grow!" said {hero}. "[good things take time|it sleeps in the ground]," said {adult}.',
    )
    t.say(
        "{hero} gave it water every day. [sometimes {hero.he} sang to it|sometimes {hero.he} told it a story].",
        "every day, {hero} came with water. {hero.he} waited one week and then two weeks.",
    )
    t.maybe(
        0.5,
        '{friend} came by and said, "[there is nothing there|you are talking to the ground|that will never grow]." {hero} was sad.',
        'once, {hero} wanted to dig it up. "no," said {friend}, "then it will die."',
    )
    t.maybe(
        0.5,
        "but {hero} did not give up. and then it rained, and the sun came out.",
        "but {hero} [went on|was patient].",
    )
    t.say(
        'one morning, there was something green! "[come and look|it is alive|look]!" {hero} called.',
        'then, one morning, {hero} saw two small green leaves. "it is growing!" {hero.he} cried.',
    )
    t.say(
        "it grew and grew. in the end it was a {plant} and {end}.",
        "week after week, it grew. it was a {plant}! soon it {end}.",
    )
    t.maybe(
        0.5,
        '{friend} [came to see it|could not believe it]. "it is [beautiful|wonderful]," {friend.he} said.',
        "{hero} showed it to {friend}, and they [danced around it|sat next to it all day].",
    )
    t.say(
        "{hero} learned that good things take time.",
        '{adult} smiled. "you see, waiting was worth it," {adult.he} said.',
        "and {hero} kept a new seed for the next year.",
    )


def wish(t: Teller) -> None:
    """A wish comes true, though in another way."""
    cast(t)
    t["wish"], t["want"], t["got"] = t.pick(
        (
            ("a pony", "to ride", "let {hero.him} ride on {adult.his} back"),
            ("a star", "to hold", "gave {hero.him} a jar with a firefly"),
            ("wings", "to fly", "pushed {hero.him} high on the swing"),
            ("a ship", "to sail", "made {hero.him} a ship from an old box"),
            ("a castle", "to live in", "built a castle from pillows with {hero.him}"),
            ("snow", "to play in", "made snow from paper"),
        )
    )
    t["got"] = t["got"].format(hero=t["hero"], adult=t["adult"])
    t["where"] = t.pick(("on a star", "at the old well", "on a white feather", "on the birthday candles"))
    opening(t, t.pick(("little", "young", "small", "good")))
    t.say(
        "{hero} wished for {wish} {want}.",
        "more than anything in the world, {hero} wanted {wish} {want}.",
        "{hero} had one big wish: {wish} {want}.",
    )
    t.say(
        'one night, {hero.he} made a wish {where}. "[i wish for|please give me] {wish}," {hero.he} whispered.',
        day(t) + " {hero} closed {hero.his} eyes and made a wish {where}.",
    )
    t.say(
        "in the morning, {hero} looked [everywhere|under the bed and in the garden]. but there was nothing.",
        "{hero} waited one day, two days, three days. nothing happened.",
    )
    t.say(
        '"wishes are not true," {hero} said to {friend}. {hero.he} was very sad.',
        '"my wish did not come true," {hero.he} told {friend}.',
    )
    t.say(
        '"[what did you wish for|what was your wish]?" asked {friend}. "{wish} {want}," said {hero}.',
        "{friend} [thought about it|wanted to help].",
    )
    t.say(
        "{friend} went to {hero}'s {adult.common} and told {adult.him} [about it|about the wish].",
        "{friend} and {hero.his} {adult.common} [had a plan|talked for a long time].",
    )
    t.say("that evening, {adult} {got}!", '"close your eyes, {hero}," said {adult}. then {adult.he} {got}.')
    t.say(
        "{hero} laughed and laughed. it was [better than|as good as] {hero.he} had dreamed.",
        "{hero} [could not believe it|was so happy]. {friend} [laughed too|joined in].",
    )
    t.maybe(
        0.5,
        '"[so my wish came true|it came true after all]," said {hero}. "only in another way."',
        '"thank you, {adult}! thank you, {friend}!" said {hero}.',
    )
    t.say(
        '"now i have only one wish," said {hero}. "that we do this again tomorrow."',
        "{hero} learned that [friends and family|those who love you] can make wishes come true.",
        "that night, {hero} did not wish for anything. {hero.he} had all {hero.he} needed.",
    )
