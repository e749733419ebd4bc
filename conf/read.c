/* conf/read.c - one walk over the document, led by the schema: every key known, every value of its type, every default set. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include "conf/reader.h"

enum { NOTE_TEXT_MAX = 1024 };

static void read_node(struct reader *r, const struct row *row, yaml_node_t *node, void *into);
static void set_defaults(struct reader *r, const struct row *row, void *into);

static void note(struct reader *r, bool is_error, struct conf_mark at, const char *fmt, va_list args)
	__attribute__((format(printf, 4, 0)));
static void note(struct reader *r, bool is_error, struct conf_mark at, const char *fmt, va_list args)
{
	char text[NOTE_TEXT_MAX];

	vsnprintf(text, sizeof(text), fmt, args);
	notes_add(r->notes, is_error, at, r->path, text);
	if (r->notes->out_of_memory)
		r->err = -ENOMEM;
}

void note_error(struct reader *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	note(r, true, r->mark, fmt, args);
	va_end(args);
}

void note_warning(struct reader *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	note(r, false, r->mark, fmt, args);
	va_end(args);
}

void *reader_alloc(struct reader *r, size_t size)
{
	void *p = arena_alloc(r->arena, size);

	if (!p)
		r->err = -ENOMEM;
	else
		memset(p, 0, size);
	return p;
}

struct sv reader_dup(struct reader *r, struct sv v)
{
	struct sv copy = arena_dup(r->arena, v);

	if (!copy.p)
		r->err = -ENOMEM;
	return copy;
}

/* Appends to the path in notes; what does not fit is cut. Returns what path_pop() wants back. */
static size_t path_push(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static size_t path_push(struct reader *r, const char *fmt, ...)
{
	size_t before = r->path_len, room = sizeof(r->path) - before;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(r->path + before, room, fmt, args);
	va_end(args);
	r->path_len = before + ((size_t)n < room ? (size_t)n : room - 1);
	return before;
}

static void path_pop(struct reader *r, size_t before)
{
	r->path_len = before;
	r->path[before] = '\0';
}

static size_t path_push_key(struct reader *r, struct sv key)
{
	char word[72];

	return path_push(r, "%s%s", r->path_len ? "." : "", printable(key, word));
}

static struct conf_mark mark_of(const yaml_node_t *node)
{
	return reader_mark(&node->start_mark);
}

static struct sv scalar_of(const yaml_node_t *node)
{
	return (struct sv){ (const char *)node->data.scalar.value, node->data.scalar.length };
}

static bool is_done(const struct reader *r)
{
	return r->err || r->is_stopped;
}

/* A mapping written below its key begins, for YAML, at its own first key: the key above says more. */
static struct conf_mark place_of(const struct reader *r, const struct row *row, const yaml_node_t *node)
{
	size_t len = strlen(row->path);
	bool is_block = (node->type == YAML_MAPPING_NODE && node->data.mapping.style != YAML_FLOW_MAPPING_STYLE) ||
	                (node->type == YAML_SEQUENCE_NODE && node->data.sequence.style != YAML_FLOW_SEQUENCE_STYLE);

	return is_block && len && row->path[len - 1] != ']' ? r->key_mark : mark_of(node);
}

/* Values are counted each time they are visited, so that aliases of aliases end (and cycles, at the depth). */
static bool enter(struct reader *r, const struct row *row, const yaml_node_t *node)
{
	r->mark = place_of(r, row, node);
	r->visited++;
	if (r->visited > CONF_NODES_MAX)
		note_error(r, "more than %d values, those behind aliases counted each time: the file is too large", CONF_NODES_MAX);
	else if (r->depth >= CONF_DEPTH_MAX)
		note_error(r, "more than %d lists and mappings inside each other", CONF_DEPTH_MAX);
	else
		return true;
	r->is_stopped = true;
	return false;
}


uint64_t load_number(const void *at, size_t size)
{
	switch (size) {
	case 1: return *(const uint8_t *)at;
	case 2: return *(const uint16_t *)at;
	case 4: return *(const uint32_t *)at;
	default: return *(const uint64_t *)at;
	}
}

static void store_number(void *at, size_t size, uint64_t v)
{
	switch (size) {
	case 1: *(uint8_t *)at = (uint8_t)v; break;
	case 2: *(uint16_t *)at = (uint16_t)v; break;
	case 4: *(uint32_t *)at = (uint32_t)v; break;
	default: *(uint64_t *)at = v;
	}
}

static void store(const struct row *row, const struct value *v, void *into)
{
	char *at = (char *)into + row->slot - 1;

	switch (row->type) {
	case TY_BOOL: case TY_INT: case TY_DURATION: case TY_SIZE: case TY_RATE: case TY_CHOICE: case TY_ZONE: case TY_POOL:
	case TY_RULES:
		store_number(at, row->slot_size, v->number);
		break;
	case TY_PREFIX:
		*(struct prefix *)(void *)at = v->prefix;
		break;
	default:
		*(struct sv *)(void *)at = v->text;
	}
}

static void read_text(struct reader *r, const struct row *row, struct sv text, void *into)
{
	struct value v = { 0 };

	if (!value_read(r, row, text, &v) || r->err)
		return;
	if (row->take)
		row->take(r, &v, into);
	else if (row->slot)
		store(row, &v, into);
}

/* Of several scalar rows, a choice that has the word wins; else the last one speaks. */
static const struct row *scalar_row(const struct row *row, struct sv text)
{
	const struct row *best = NULL;

	for (; row; row = schema_other(row)) {
		if (row->type == TY_LIST && row->takes_one)
			best = row;
		if (!type_is_scalar(row->type))
			continue;
		best = row;
		for (const char *const *c = row->choices; c && *c; c++) {
			if (sv_eq(text, sv_from(*c)))
				return row;
		}
	}
	return best;
}

static const struct row *container_row(const struct row *row, yaml_node_type_t kind)
{
	for (; row; row = schema_other(row)) {
		if (kind == YAML_SEQUENCE_NODE ? row->type == TY_LIST : row->type == TY_MAP || row->type == TY_NAMES)
			return row;
	}
	return NULL;
}

/* What one shape is called: "a number", "`auto`", "a mapping with `calls:`". */
static size_t shape(const struct row *row, char *buf, size_t size)
{
	const struct row *key = row->type == TY_MAP ? schema_next_key(row, NULL) : NULL;
	size_t at = 0;

	if (key)
		return (size_t)snprintf(buf, size, "%s with `%s:`", type_name(row->type), schema_name(key));
	if (row->type != TY_CHOICE)
		return (size_t)snprintf(buf, size, "%s", type_name(row->type));
	for (size_t i = 0; row->choices[i] && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s`%s`", i ? ", " : "", row->choices[i]);
	return at;
}

/* Every shape that the rows allow. */
static void shapes(const struct row *row, char *buf, size_t size)
{
	size_t at = 0;

	for (; row && at < size; row = schema_other(row)) {
		if (at)
			at += (size_t)snprintf(buf + at, size - at, " or ");
		if (at < size)
			at += shape(row, buf + at, size - at);
	}
}

static void wrong_shape(struct reader *r, const struct row *row, const char *what)
{
	char buf[256];

	shapes(row, buf, sizeof(buf));
	note_error(r, "%s stands here; it takes %s", what, buf);
}

static bool count_fits(struct reader *r, const struct row *row, size_t n)
{
	const char *what = row->type == TY_LIST ? "entries" : "keys";

	if (n < row->min)
		note_error(r, n ? "only %zu %s; it needs %llu" : "it is empty (%zu %s); it needs at least %llu", n, what,
		           (unsigned long long)row->min);
	else if (row->max == 1 && n > 1)
		note_error(r, "%zu %s; only one of them is possible", n, what);
	else if (row->max && n > row->max)
		note_error(r, "%zu %s; at most %llu are possible", n, what, (unsigned long long)row->max);
	else
		return true;
	return false;
}

/* Room for the items of a list or the values of a mapping. Items without a struct of their own go to the one around. */
static void *items_new(struct reader *r, const struct row *row, const struct row *item, size_t n, void *into)
{
	void *items;

	if (!item->size || !row->slot)
		return into;
	if (!(items = reader_alloc(r, n ? n * item->size : 1)))
		return NULL;
	memcpy((char *)into + row->slot - 1, &items, sizeof(items));
	store_number((char *)into + row->count - 1, row->count_size, n);
	return items;
}

static void read_list_of_one(struct reader *r, const struct row *row, struct sv text, void *into)
{
	const struct row *item = scalar_row(schema_item(row), text);
	void *items = items_new(r, row, item, 1, into);

	if (items)
		read_text(r, item, text, items);
}

static void read_list(struct reader *r, const struct row *row, yaml_node_t *node, void *into)
{
	const struct row *item = schema_item(row);
	size_t n = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	char *items;

	if (!count_fits(r, row, n) || !(items = items_new(r, row, item, n, into)))
		return;
	for (size_t i = 0; i < n && !is_done(r); i++) {
		yaml_node_t *child = yaml_document_get_node(r->doc, node->data.sequence.items.start[i]);
		size_t before = path_push(r, "[%zu]", i);

		read_node(r, item, child, items + (row->slot ? i * item->size : 0));
		path_pop(r, before);
	}
}

static size_t pairs_of(const yaml_node_t *node)
{
	return (size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
}

static yaml_node_t *key_at(const struct reader *r, const yaml_node_t *map, size_t i)
{
	return yaml_document_get_node(r->doc, map->data.mapping.pairs.start[i].key);
}

static yaml_node_t *value_at(const struct reader *r, const yaml_node_t *map, size_t i)
{
	return yaml_document_get_node(r->doc, map->data.mapping.pairs.start[i].value);
}

/* The second of two equal keys would silently win or lose: neither is what its writer meant. */
static void check_duplicate(struct reader *r, const yaml_node_t *map, size_t i)
{
	struct sv key = scalar_of(key_at(r, map, i));

	for (size_t j = 0; j < i; j++) {
		const yaml_node_t *earlier = key_at(r, map, j);

		if (earlier->type != YAML_SCALAR_NODE || !sv_eq(scalar_of(earlier), key))
			continue;
		note_error(r, "the same key stands already on line %u: keep one of them", mark_of(earlier).line);
		return;
	}
}

static void unknown_key(struct reader *r, const struct row *map, struct sv key)
{
	struct known known;
	char word[72], hint[256];

	known_init(&known, key);
	for (const struct row *row = schema_next_key(map, NULL); row; row = schema_next_key(map, row))
		known_offer(&known, sv_from(schema_name(row)));
	if (sv_eq(key, SV("<<")))
		note_error(r, "merging mappings (<<) is not supported: write the keys, or an alias as a value");
	else
		note_error(r, "unknown key `%s`%s", printable(key, word), known_nearest_or_all(&known, hint));
}

/* Keys are plain, written once, and (in a TY_MAP) known. false: too many or not plain to go on with. */
static bool check_keys(struct reader *r, const struct row *row, yaml_node_t *node)
{
	struct conf_mark at = r->mark;
	size_t n = pairs_of(node);
	bool is_plain = true;

	r->visited += n;
	if (n > CONF_KEYS_MAX) {
		note_error(r, "%zu keys in one mapping; at most %d are possible", n, CONF_KEYS_MAX);
		return false;
	}
	for (size_t i = 0; i < n && !is_done(r); i++) {
		const yaml_node_t *key = key_at(r, node, i);
		size_t before;

		r->mark = mark_of(key);
		if (key->type != YAML_SCALAR_NODE) {
			note_error(r, "a key is a word, not a list or a mapping");
			is_plain = false;
			continue;
		}
		before = path_push_key(r, scalar_of(key));
		check_duplicate(r, node, i);
		if (row->type == TY_MAP && !schema_key(row, scalar_of(key)))
			unknown_key(r, row, scalar_of(key));
		path_pop(r, before);
	}
	r->mark = at;
	return is_plain;
}

static void missing_key(struct reader *r, const struct row *key)
{
	char buf[256];

	shapes(key, buf, sizeof(buf));
	note_error(r, "`%s:` is missing; it takes %s. %s", schema_name(key), buf, key->help);
}

static void read_key(struct reader *r, const struct row *key, yaml_node_t *map, void *into)
{
	struct conf_mark at = r->mark;
	struct sv name = sv_from(schema_name(key));
	size_t before, i = 0, n = pairs_of(map);

	while (i < n && !sv_eq(scalar_of(key_at(r, map, i)), name))
		i++;
	/* A scalar in place of a mapping (`probe: off`) leaves the mapping's defaults in force, and the other way round. */
	if (i == n || schema_other(key))
		set_defaults(r, key, into);
	if (i == n && key->is_required)
		missing_key(r, key);
	if (i == n)
		return;
	before = path_push_key(r, name);
	r->key_mark = mark_of(key_at(r, map, i));
	read_node(r, key, value_at(r, map, i), into);
	path_pop(r, before);
	r->mark = at;
}

static void read_map(struct reader *r, const struct row *row, yaml_node_t *node, void *into)
{
	if (!check_keys(r, row, node) || !count_fits(r, row, pairs_of(node)))
		return;
	if (row->slot)
		store_number((char *)into + row->slot - 1, row->slot_size, true);
	for (const struct row *key = schema_next_key(row, NULL); key && !is_done(r); key = schema_next_key(row, key))
		read_key(r, key, node, into);
}

/* The operator's own keys: names, domains, header names, statuses. */
static void read_name(struct reader *r, const struct row *names, const struct row *item, const yaml_node_t *key,
                      void *into)
{
	struct row as = { .type = names->key_type ? names->key_type : TY_NAME };
	struct value v = { 0 };

	r->mark = r->key_mark = mark_of(key);
	if (as.type == TY_INT) {
		as.min = item->min;
		as.max = item->max;
	}
	if (!value_read(r, &as, scalar_of(key), &v) || !item->key)
		return;
	if (as.type == TY_INT)
		*(uint16_t *)(void *)((char *)into + item->key - 1) = (uint16_t)v.number;
	else
		*(struct sv *)(void *)((char *)into + item->key - 1) = reader_dup(r, v.text);
}

static void read_names(struct reader *r, const struct row *row, yaml_node_t *node, void *into)
{
	const struct row *item = schema_any(row);
	size_t n = pairs_of(node);
	char *items;

	if (!check_keys(r, row, node) || !count_fits(r, row, n) || !(items = items_new(r, row, item, n, into)))
		return;
	for (size_t i = 0; i < n && !is_done(r); i++) {
		void *one = items + (row->slot ? i * item->size : 0);
		size_t before = path_push_key(r, scalar_of(key_at(r, node, i)));

		read_name(r, row, item, key_at(r, node, i), one);
		read_node(r, item, value_at(r, node, i), one);
		path_pop(r, before);
	}
}

static bool is_nothing(const yaml_node_t *node)
{
	struct sv v = scalar_of(node);

	return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (v.len == 0 || sv_eq(v, SV("~")) || sv_eq(v, SV("null")));
}

static const struct row *read_scalar(struct reader *r, const struct row *row, yaml_node_t *node, struct sv *text)
{
	const struct row *chosen;

	if (is_nothing(node)) {
		wrong_shape(r, row, "nothing");
		return NULL;
	}
	if (!reader_expand(r, scalar_of(node), text))
		return NULL;
	chosen = scalar_row(row, *text);
	if (!chosen)
		wrong_shape(r, row, "a single value");
	if (!chosen || !r->has_message_variable || chosen->type == TY_TEMPLATE)
		return chosen;
	note_error(r, "what a message holds (${from-user} and the like) can only be filled in where a rule of `headers` has its `value:`");
	return NULL;
}

/* Which of the alternatives the node is; its text when it is a scalar. NULL: a note was made. */
static const struct row *choose(struct reader *r, const struct row *row, yaml_node_t *node, struct sv *text)
{
	const struct row *chosen;

	if (node->type == YAML_SCALAR_NODE)
		return read_scalar(r, row, node, text);
	chosen = container_row(row, node->type);
	if (!chosen)
		wrong_shape(r, row, node->type == YAML_SEQUENCE_NODE ? "a list" : "a mapping");
	return chosen;
}

static bool has_tag(const yaml_node_t *node)
{
	static const char *const usual[] = { YAML_STR_TAG, YAML_SEQ_TAG, YAML_MAP_TAG, "!" };

	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
		if (!node->tag || strcmp((const char *)node->tag, usual[i]) == 0)
			return false;
	}
	return true;
}

static void read_shape(struct reader *r, const struct row *row, yaml_node_t *node, struct sv text, void *into)
{
	if (row->type == TY_MAP)
		read_map(r, row, node, into);
	else if (row->type == TY_NAMES)
		read_names(r, row, node, into);
	else if (node->type == YAML_SEQUENCE_NODE)
		read_list(r, row, node, into);
	else if (row->type == TY_LIST)
		read_list_of_one(r, row, text, into);
	else
		read_text(r, row, text, into);
}

static void read_node(struct reader *r, const struct row *row, yaml_node_t *node, void *into)
{
	unsigned errors = r->notes->errors;
	struct conf_mark at;
	struct sv text = { 0 };

	if (!enter(r, row, node))
		return;
	at = r->mark;
	if (has_tag(node))
		note_error(r, "a tag (!...) has no meaning here: remove it");
	if (!(row = choose(r, row, node, &text)))
		return;
	r->later += row->is_later;
	r->depth++;
	if (row->open)
		row->open(r, into);
	read_shape(r, row, node, text, into);
	r->mark = at;
	if (row->done && !is_done(r))
		row->done(r, into);
	r->depth--;
	r->later -= row->is_later;
	if (row->is_later && !r->later && (!type_is_scalar(row->type) || errors == r->notes->errors))
		note_warning(r, "not active in this version");
}

/* What holds when `row`'s key is not written: its own default, or those of the keys below it. */
static void set_defaults(struct reader *r, const struct row *row, void *into)
{
	bool was_default = r->is_default;

	r->is_default = true;
	for (const struct row *shape = row; shape; shape = schema_other(shape)) {
		if (shape->unset) {
			const struct row *as = scalar_row(row, sv_from(shape->unset));

			if (as->type == TY_LIST)
				read_list_of_one(r, as, sv_from(shape->unset), into);
			else
				read_text(r, as, sv_from(shape->unset), into);
		}
		if (shape->type != TY_MAP || shape->is_later)
			continue;
		for (const struct row *key = schema_next_key(shape, NULL); key; key = schema_next_key(shape, key))
			set_defaults(r, key, into);
	}
	r->is_default = was_default;
}

void reader_set(struct reader *r, const struct row *row, struct sv text, void *into)
{
	read_text(r, row, text, into);
}

void reader_defaults(struct reader *r, const struct row *row, void *into)
{
	for (const struct row *key = schema_next_key(row, NULL); key; key = schema_next_key(row, key))
		set_defaults(r, key, into);
}

int reader_run(struct reader *r)
{
	yaml_node_t *root = yaml_document_get_root_node(r->doc);

	if (!root) {
		r->mark = (struct conf_mark){ 1, 1 };
		note_error(r, "the file says nothing: it needs at least node, zones, pools and routes");
	} else {
		read_node(r, schema_root(), root, r->conf);
	}
	return r->err;
}
