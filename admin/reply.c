/* admin/reply.c - a reply keeps its cells as they came until it is done: only then are the widths of a table known. */
#include "admin/reply.h"
#include "base/json.h"
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ERROR_MAX = 4096,
	FRAME_HEAD = 5,
	GAP = 2,           /* between columns */
	ESCAPED_MAX = 6,   /* \u00XX: most that JSON makes of a byte */
	DECIMAL_MAX = 20,
};

/* A cell as kept in `rows`. */
struct stored {
	uint64_t u64;      /* or the length of the string behind it */
	uint8_t kind;
};

struct ctl_reply *reply_new(bool is_json)
{
	struct ctl_reply *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	list_init(&r->in_ctl);
	r->is_json = is_json;
	r->rows = text_of(CTL_ROWS_MAX);
	r->text = text_of(CTL_ANSWER_MAX);
	r->notes = text_of(CTL_ANSWER_MAX);
	r->error = text_of(ERROR_MAX);
	return r;
}

void reply_free(struct ctl_reply *r)
{
	if (!r)
		return;
	list_del(&r->in_ctl);
	text_fini(&r->rows);
	text_fini(&r->text);
	text_fini(&r->notes);
	text_fini(&r->error);
	free(r);
}

/* Putting together ---------------------------------------------------------------------------------------------- */

void ctl_columns(struct ctl_reply *r, unsigned n, ...)
{
	va_list names;

	r->has_table = true;
	r->n_columns = n < CTL_COLUMNS_MAX ? n : CTL_COLUMNS_MAX;
	va_start(names, n);
	for (unsigned i = 0; i < r->n_columns; i++)
		r->column[i] = va_arg(names, const char *);
	va_end(names);
}

static void store(struct text *rows, const struct ctl_cell *cell)
{
	struct stored s = { .kind = (uint8_t)cell->kind };

	s.u64 = cell->kind == CELL_STR ? cell->str.len : cell->kind == CELL_NONE ? 0 : cell->u64;
	text_sv(rows, (struct sv){ (const char *)&s, sizeof(s) });
	if (cell->kind == CELL_STR)
		text_sv(rows, cell->str);
}

/* A row that does not fit is taken back whole, and those that follow are not tried. */
void ctl_row_cells(struct ctl_reply *r, const struct ctl_cell *cells, size_t n)
{
	const struct ctl_cell none = cell_none();
	size_t before = r->rows.len;

	if (!r->conn)
		return; /* for nobody */
	for (unsigned i = 0; i < r->n_columns; i++)
		store(&r->rows, i < n ? &cells[i] : &none);
	if (r->rows.err) {
		r->rows.len = before;
		r->rows_left_out++;
	} else
		r->n_rows++;
}

void ctl_text(struct ctl_reply *r, struct sv text)
{
	r->has_text = true;
	if (r->conn)
		text_sv(&r->text, text);
}

void ctl_note(struct ctl_reply *r, const char *fmt, ...)
{
	va_list args;

	if (!r->conn)
		return;
	va_start(args, fmt);
	text_vprintf(&r->notes, fmt, args);
	va_end(args);
	text_str(&r->notes, "\n");
}

void ctl_exit_code(struct ctl_reply *r, int code)
{
	r->exit_code = code;
}

bool ctl_is_json(const struct ctl_reply *r)
{
	return r->is_json;
}

const char *ctl_actor(const struct ctl_reply *r)
{
	return r->actor;
}

/* Reading cells back -------------------------------------------------------------------------------------------- */

/* The next cell behind `*at`. */
static struct ctl_cell next_cell(const struct text *rows, size_t *at)
{
	struct stored s;
	struct ctl_cell cell;

	memcpy(&s, rows->p + *at, sizeof(s));
	*at += sizeof(s);
	cell = (struct ctl_cell){ .kind = s.kind, .u64 = s.u64 };
	if (s.kind == CELL_STR) {
		cell.str = (struct sv){ rows->p + *at, s.u64 };
		*at += s.u64;
	}
	return cell;
}

/* For people ---------------------------------------------------------------------------------------------------- */

const char *ctl_duration(uint64_t ms, char room[24])
{
	uint64_t s = ms / 1000, m = s / 60, h = m / 60;

	if (ms < 1000)
		snprintf(room, 24, "%ums", (unsigned)ms);
	else if (s < 60)
		snprintf(room, 24, "%u.%us", (unsigned)s, (unsigned)(ms % 1000 / 100));
	else if (m < 60)
		snprintf(room, 24, "%um%02us", (unsigned)m, (unsigned)(s % 60));
	else if (h < 24)
		snprintf(room, 24, "%uh%02um", (unsigned)h, (unsigned)(m % 60));
	else
		snprintf(room, 24, "%llud%02uh", (unsigned long long)(h / 24), (unsigned)(h % 24));
	return room;
}

/* Returns the columns it takes on a terminal. */
static size_t cell_print(struct text *t, const struct ctl_cell *cell)
{
	size_t before = t->len;
	char room[24];

	switch (cell->kind) {
	case CELL_STR:
		return text_printable(t, cell->str);
	case CELL_U64:
		text_printf(t, "%llu", (unsigned long long)cell->u64);
		break;
	case CELL_BOOL:
		text_str(t, cell->u64 ? "yes" : "no");
		break;
	case CELL_MS:
		text_str(t, ctl_duration(cell->u64, room));
		break;
	case CELL_NONE:
		text_str(t, "-");
		break;
	}
	return t->len - before;
}

static bool is_number(const struct ctl_cell *cell)
{
	return cell->kind == CELL_U64 || cell->kind == CELL_MS;
}

/* "since_ms" is headed SINCE: a duration shows its unit. */
static size_t heading_len(const char *name)
{
	size_t len = strlen(name);

	return len > 3 && strcmp(name + len - 3, "_ms") == 0 ? len - 3 : len;
}

struct shape {
	size_t width;
	bool has_numbers, has_words;
};

/* A column of numbers alone ends where it ends, heading included; any other begins where it begins. */
static bool is_right(const struct shape *s)
{
	return s->has_numbers && !s->has_words;
}

static void shapes_of(const struct ctl_reply *r, struct shape *shape)
{
	struct text scratch = text_of(CTL_ANSWER_MAX);
	size_t at = 0;

	for (unsigned i = 0; i < r->n_columns; i++)
		shape[i] = (struct shape){ .width = heading_len(r->column[i]) };
	while (at < r->rows.len) {
		for (unsigned i = 0; i < r->n_columns; i++) {
			struct ctl_cell cell = next_cell(&r->rows, &at);
			size_t w = cell_print(&scratch, &cell);

			shape[i].width = w > shape[i].width ? w : shape[i].width;
			shape[i].has_numbers |= is_number(&cell);
			shape[i].has_words |= !is_number(&cell) && cell.kind != CELL_NONE;
			scratch.len = 0;
		}
	}
	text_fini(&scratch);
}

/* The columns of the terminal that were written since `start` become `width` wide. */
static void align(struct text *out, size_t start, size_t taken, const struct shape *shape, bool is_last)
{
	size_t pad = taken < shape->width ? shape->width - taken : 0, len = out->len - start;

	if (is_right(shape)) {
		text_fill(out, ' ', pad);
		if (!out->err) {
			memmove(out->p + start + pad, out->p + start, len);
			memset(out->p + start, ' ', pad);
		}
		pad = 0;
	}
	if (!is_last)
		text_fill(out, ' ', pad + GAP);
}

static void headings(const struct ctl_reply *r, const struct shape *shape, struct text *out)
{
	for (unsigned i = 0; i < r->n_columns; i++) {
		size_t start = out->len, len = heading_len(r->column[i]);

		for (size_t j = 0; j < len; j++)
			text_fill(out, (char)toupper((unsigned char)r->column[i][j]), 1);
		align(out, start, len, &shape[i], i + 1 == r->n_columns);
	}
	text_str(out, "\n");
}

static void table_for_people(const struct ctl_reply *r, struct text *out)
{
	struct shape shape[CTL_COLUMNS_MAX];
	size_t at = 0;

	shapes_of(r, shape);
	headings(r, shape, out);
	while (at < r->rows.len) {
		for (unsigned i = 0; i < r->n_columns; i++) {
			struct ctl_cell cell = next_cell(&r->rows, &at);
			size_t start = out->len, taken = cell_print(out, &cell);

			align(out, start, taken, &shape[i], i + 1 == r->n_columns);
		}
		text_str(out, "\n");
	}
}

/* For programs -------------------------------------------------------------------------------------------------- */

static void json_cell(struct json *j, const struct ctl_cell *cell)
{
	switch (cell->kind) {
	case CELL_STR:
		json_str(j, cell->str);
		break;
	case CELL_U64:
	case CELL_MS:
		json_u64(j, cell->u64);
		break;
	case CELL_BOOL:
		json_bool(j, cell->u64);
		break;
	case CELL_NONE:
		json_null(j);
		break;
	}
}

/* One row, written into the most room it can need. */
static void json_row(const struct ctl_reply *r, size_t *at, bool is_first, struct text *out)
{
	size_t end = *at, room = 3;
	struct json j;
	char *area;

	for (unsigned i = 0; i < r->n_columns; i++) {
		struct ctl_cell cell = next_cell(&r->rows, &end);

		room += ESCAPED_MAX * strlen(r->column[i]) + 6 + DECIMAL_MAX;
		room += cell.kind == CELL_STR ? ESCAPED_MAX * cell.str.len : 0;
	}
	text_str(out, is_first ? "\n" : ",\n");
	area = text_room(out, room);
	if (!area)
		return;
	json_init(&j, area, room);
	json_object(&j);
	for (unsigned i = 0; i < r->n_columns; i++) {
		struct ctl_cell cell = next_cell(&r->rows, at);

		json_key(&j, r->column[i]);
		json_cell(&j, &cell);
	}
	json_object_end(&j);
	out->len += json_done(&j).len;
}

static void table_for_programs(const struct ctl_reply *r, struct text *out)
{
	size_t at = 0;

	text_str(out, "[");
	for (bool is_first = true; at < r->rows.len && !out->err; is_first = false)
		json_row(r, &at, is_first, out);
	text_str(out, "\n]\n");
}

static void text_for_programs(const struct ctl_reply *r, struct text *out)
{
	size_t room = ESCAPED_MAX * r->text.len + 32;
	char *area = text_room(out, room);
	struct json j;

	if (!area)
		return;
	json_init(&j, area, room);
	json_object(&j);
	json_member_str(&j, "text", (struct sv){ r->text.p, r->text.len });
	json_object_end(&j);
	out->len += json_done(&j).len;
	text_str(out, "\n");
}

/* Frames -------------------------------------------------------------------------------------------------------- */

static void put_head(char *to, char kind, size_t len)
{
	to[0] = kind;
	for (unsigned i = 0; i < 4; i++)
		to[1 + i] = (char)(len >> (24 - 8 * i));
}

void frame_add(struct text *out, char kind, struct sv bytes)
{
	char *head = text_room(out, FRAME_HEAD + bytes.len);

	if (!head)
		return;
	put_head(head, kind, bytes.len);
	out->len += FRAME_HEAD;
	text_sv(out, bytes);
}

void frames_error(struct text *out, int exit_code, struct sv line)
{
	const char code = (char)exit_code;

	if (line.len)
		frame_add(out, 'e', line);
	frame_add(out, 'x', (struct sv){ &code, 1 });
}

static void body(const struct ctl_reply *r, struct text *out)
{
	if (r->is_json) {
		if (r->has_table)
			table_for_programs(r, out);
		else if (r->has_text)
			text_for_programs(r, out);
		return;
	}
	if (r->has_table)
		table_for_people(r, out);
	text_sv(out, (struct sv){ r->text.p, r->text.len });
	text_sv(out, (struct sv){ r->notes.p, r->notes.len });
}

/* The first thing that went wrong while the answer was put together; rows that were left out are told apart. */
static int trouble(const struct ctl_reply *r)
{
	if (r->text.err || r->notes.err)
		return r->text.err ? r->text.err : r->notes.err;
	return r->rows.err == -ENOMEM ? -ENOMEM : 0;
}

/* What was there before, progress and beats, stays. */
static void fail_instead(struct text *out, size_t start, int err)
{
	out->len = start;
	out->err = 0;
	frames_error(out, CTL_FAILED, err == -ENOMEM ? SV("out of memory\n") : SV("the answer is too long\n"));
}

void reply_render(struct ctl_reply *r, struct text *out)
{
	size_t start = out->len;
	char *head;
	int err = trouble(r);

	if (r->error.len) {
		frames_error(out, r->exit_code, (struct sv){ r->error.p, r->error.len });
		return;
	}
	head = text_room(out, FRAME_HEAD);
	if (head && !err) {
		out->len += FRAME_HEAD;
		body(r, out);
		if (!out->err)
			put_head(out->p + start, 'o', out->len - start - FRAME_HEAD);
	}
	if (err || out->err) {
		fail_instead(out, start, err ? err : out->err);
		return;
	}
	if (r->rows_left_out) {
		char line[96];

		snprintf(line, sizeof(line), "%zu rows left out: a table has at most %d MiB\n", r->rows_left_out,
		         CTL_ROWS_MAX >> 20);
		frames_error(out, CTL_FAILED, sv_from(line));
		return;
	}
	frames_error(out, r->exit_code, (struct sv){ NULL, 0 });
}
