"""What one question of the page, its API or an assistant may cost, named once for all of them."""

#: Most rows of an answer. A larger one is a matter for the command line, which streams.
MAX_ROWS = 200

#: Longest condition, in characters. The longest one that a click makes has some hundred.
MAX_EXPRESSION = 4_000

#: Longest SQL statement, in characters.
MAX_SQL = 20_000

#: Seconds that the database may take for an answer. Most take less than one, over a million files.
STATEMENT_SECONDS = 10

#: Statements that run at once; further ones wait. More would slow each other down on a small machine.
MAX_STATEMENTS = 4

#: Most fields whose statistics one answer has. A million files take about half a second for each.
MAX_FIELDS = 12
