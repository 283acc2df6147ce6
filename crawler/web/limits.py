"""What one question of the page, its API or an assistant may cost, named once for all of them."""

#: Rows of a page, and most rows of an answer. More is a matter for the command line, which streams.
USUAL_ROWS, MAX_ROWS = 50, 200

#: Longest condition, in characters. The longest one that a click makes has some hundred.
MAX_EXPRESSION = 4_000

#: Longest SQL statement, in characters.
MAX_SQL = 20_000

#: Most columns of a view, and most of those that it is sorted by. All fields are some hundred; each key of an
#: object in a sort is compared in many ways.
MAX_COLUMNS, MAX_SORTS = 200, 10

#: Most cells of a download: some 100 MB of memory while it is written.
MAX_CELLS = 1_000_000

#: Most characters of the rows of an answer, a download too. A stranger's text can have millions.
MAX_CHARACTERS = 50_000_000

#: Seconds that the database may take for an answer. Most take less than one, over a million files.
STATEMENT_SECONDS = 10

#: The same for pages of statistics, which read every file. Over a million files they take some seconds,
#: and several times as long on a busy machine; the answer is kept.
STATISTICS_SECONDS = 40

#: Seconds for counts beside the rows of a page, which is shown without them if they take longer.
COUNT_SECONDS = 5

#: Values that complete what is being typed, and the seconds in which they are of use.
MOST_VALUES, COMPLETION_SECONDS = 20, 1

#: Statements that run at once; further ones wait. More would slow each other down on a small machine.
MAX_STATEMENTS = 4

#: Requests that may wait. Beyond them the server says that it is busy.
MAX_WAITING = 200

#: Counts that are kept while the database does not change, some 10 kB each.
MAX_KEPT = 500

#: Most fields whose statistics one answer has. A million files take about half a second for each.
MAX_FIELDS = 12
