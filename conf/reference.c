/* conf/reference.c - the schema as a page for people (docs/configuration.md) and as a JSON schema for editors. */
#include "conf/reader.h"
#include "conf/text.h"

/* In a cell of a table a bar needs a backslash, in code as well. */
static void add_cell(struct text *t, const char *p)
{
	for (; *p; p++)
		text_add(t, "%s%c", *p == '|' ? "\\" : "", *p);
}

static void add_bounds(struct text *t, const struct row *row, const char *before)
{
	uint8_t as = type_is_scalar(row->type) ? row->type : TY_INT;
	char min[32], max[32];

	if (row->type == TY_SOCKET || row->type == TY_MAP || !row->max)
		return;
	if (row->type == TY_PATH)
		text_add(t, ", at most %llu bytes", (unsigned long long)row->max);
	else
		text_add(t, "%s%s to %s", before, number_text(as, row->min, min), number_text(as, row->max, max));
}

static void add_type(struct text *t, const struct row *row)
{
	if (row->type == TY_CHOICE) {
		for (size_t i = 0; row->choices[i]; i++)
			text_add(t, "%s`%s`", i ? ", " : "", row->choices[i]);
		return;
	}
	text_add(t, "%s", type_name(row->type));
	add_bounds(t, row, type_is_scalar(row->type) ? ", " : " of ");
	if (row->takes_one)
		text_add(t, ", or one value");
}

/* Only the first of several shapes of a key says what holds without it. */
static bool is_first_shape(const struct row *row)
{
	for (const struct row *r = schema_root(); r < row; r++) {
		if (strcmp(r->path, row->path) == 0)
			return false;
	}
	return true;
}

static void add_row(struct text *t, const struct row *row)
{
	text_add(t, "| `%s` | ", row->path);
	add_type(t, row);
	text_add(t, " | ");
	if (row->is_required)
		text_add(t, "required");
	else if (row->unset && is_first_shape(row))
		text_add(t, "`%s`", row->unset);
	text_add(t, " | %s | ", row->type == TY_MAP ? "" : row->reload == RESTART ? "restart" : "live");
	add_cell(t, row->help);
	if (row->is_later)
		text_add(t, " *Not active in this version.*");
	text_add(t, " |\n");
}

static bool is_top(const struct row *row)
{
	return row->path[0] && !strpbrk(row->path, ".[");
}

static bool has_section(const struct row *top)
{
	return top->type == TY_NAMES || top->type == TY_LIST || top->is_later;
}

/* `top` and everything below it. Returns the row behind. */
static const struct row *add_block(struct text *t, const struct row *top)
{
	const struct row *row = top;

	do
		add_row(t, row++);
	while (row < schema_end() && (!is_top(row) || strcmp(row->path, top->path) == 0));
	return row;
}

static const struct row *skip_block(const struct row *row)
{
	do
		row++;
	while (row < schema_end() && !is_top(row));
	return row;
}

static void add_head(struct text *t, const char *title, const char *help)
{
	text_add(t, "\n## %s\n\n%s\n\n| key | takes | default | reload | meaning |\n|---|---|---|---|---|\n", title, help);
}

static void add_types(struct text *t)
{
	text_add(t, "\n## How values are written\n\n| takes | write |\n|---|---|\n");
	for (uint8_t type = TY_BOOL; type < TY_COUNT; type++) {
		if (!*type_hint(type))
			continue;
		text_add(t, "| %s | ", type_name(type));
		add_cell(t, type_hint(type));
		text_add(t, " |\n");
	}
}

static void add_limits(struct text *t)
{
	text_add(t,
	         "\n## Bounds of a file\n\n"
	         "%d MiB; %d values, those behind aliases counted each time; %d lists and mappings inside each other; %d keys in one\n"
	         "mapping; %d bytes in one value; %d listeners and %d destinations in all. Beyond a bound, the file is refused with a\n"
	         "note that names it. %d notes are shown, the rest is counted.\n",
	         CONF_FILE_MAX >> 20, CONF_NODES_MAX, CONF_DEPTH_MAX, CONF_KEYS_MAX, CONF_TEXT_MAX, CONF_LISTENERS_MAX,
	         CONF_DESTINATIONS_MAX, CONF_NOTES_MAX);
}

static const char preamble[] =
	"# Configuration reference\n\n"
	"<!-- Generated from the table in conf/schema.c; tests/unit/conf/reference.c prints what to do when they differ. -->\n\n"
	"One YAML file, read whole or not at all. `sbc -c FILE --check` prints every problem with its place and what would be\n"
	"right, then what the file does in plain words. [conf/sbc.yaml](../conf/sbc.yaml) is a small one to start from,\n"
	"[conf/sbc.example.yaml](../conf/sbc.example.yaml) shows every part, and\n"
	"[conf/sbc.schema.json](../conf/sbc.schema.json) lets an editor help.\n\n"
	"In a key, `*` is a name you choose and `[]` an entry of a list. Two lines for one key are two ways to write it.\n"
	"Reload says what `sbcctl reload` and SIGHUP do with a changed value: *live*, new requests see it at once; *restart*, the\n"
	"reload is refused and changes nothing. `${NAME}` anywhere in a value is replaced by that variable of the environment\n"
	"(`$${` for the characters themselves). Parts marked as not active are read and checked, with one warning; a rule that\n"
	"leads to one answers 503.\n";

int conf_reference(struct conf_text *out)
{
	struct text t = { 0 };

	text_add(&t, "%s", preamble);
	add_head(&t, "The process", "Keys of the whole process.");
	for (const struct row *row = schema_root() + 1; row < schema_end();)
		row = has_section(row) ? skip_block(row) : add_block(&t, row);
	for (const struct row *row = schema_root() + 1; row < schema_end(); row = skip_block(row)) {
		if (!has_section(row) || !is_first_shape(row))
			continue;
		add_head(&t, schema_name(row), row->help);
		add_block(&t, row);
	}
	add_types(&t);
	add_limits(&t);
	return text_end(&t, out);
}

static void add_schema(struct text *t, const struct row *row);

static void add_json_string(struct text *t, const char *p)
{
	text_add(t, "\"");
	for (; *p; p++)
		text_add(t, "%s%c", *p == '"' || *p == '\\' ? "\\" : "", *p);
	text_add(t, "\"");
}

static void add_properties(struct text *t, const struct row *map)
{
	const char *between = "";

	text_add(t, "\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
	for (const struct row *key = schema_next_key(map, NULL); key; key = schema_next_key(map, key)) {
		text_add(t, "%s\n\"%s\":", between, schema_name(key));
		add_schema(t, key);
		between = ",";
	}
	text_add(t, "},\"required\":[");
	between = "";
	for (const struct row *key = schema_next_key(map, NULL); key; key = schema_next_key(map, key)) {
		if (!key->is_required)
			continue;
		text_add(t, "%s\"%s\"", between, schema_name(key));
		between = ",";
	}
	text_add(t, "]");
}

static void add_choices(struct text *t, const struct row *row)
{
	text_add(t, "\"enum\":[");
	for (size_t i = 0; row->choices[i]; i++)
		text_add(t, "%s\"%s\"", i ? "," : "", row->choices[i]);
	text_add(t, "]");
}

static void add_items(struct text *t, const struct row *list)
{
	text_add(t, "\"type\":\"array\",\"minItems\":%llu", (unsigned long long)list->min);
	if (list->max)
		text_add(t, ",\"maxItems\":%llu", (unsigned long long)list->max);
	text_add(t, ",\"items\":");
	add_schema(t, schema_item(list));
}

/* A number may also come out of the environment, and is a string then. */
static void add_integer(struct text *t, const struct row *row)
{
	text_add(t, "\"type\":[\"integer\",\"string\"],\"pattern\":\"^[0-9]+$|[$][{]\",\"minimum\":%llu",
	         (unsigned long long)row->min);
	if (row->max)
		text_add(t, ",\"maximum\":%llu", (unsigned long long)row->max);
}

static void add_shape(struct text *t, const struct row *row)
{
	text_add(t, "{");
	switch (row->type) {
	case TY_MAP: add_properties(t, row); break;
	case TY_NAMES:
		text_add(t, "\"type\":\"object\",\"additionalProperties\":");
		add_schema(t, schema_any(row));
		break;
	case TY_LIST: add_items(t, row); break;
	case TY_BOOL: text_add(t, "\"enum\":[true,false,\"on\",\"off\",\"yes\",\"no\"]"); break;
	case TY_INT: add_integer(t, row); break;
	case TY_DURATION: text_add(t, "\"type\":\"string\",\"pattern\":\"^[0-9]+(ms|s|m|h|d)$|[$][{]\""); break;
	case TY_SIZE: text_add(t, "\"type\":\"string\",\"pattern\":\"^[0-9]+(B|KiB|MiB|GiB)$|[$][{]\""); break;
	case TY_RATE: text_add(t, "\"type\":\"string\",\"pattern\":\"^[0-9]+/[sm]$|[$][{]\""); break;
	case TY_CHOICE: add_choices(t, row); break;
	default: text_add(t, "\"type\":[\"string\",\"number\"]");
	}
	text_add(t, ",\"description\":");
	add_json_string(t, row->help);
	text_add(t, "}");
	if (row->takes_one) {
		text_add(t, ",");
		add_schema(t, schema_item(row));
	}
}

static void add_schema(struct text *t, const struct row *row)
{
	bool is_many = schema_other(row) || row->takes_one;

	text_add(t, "%s", is_many ? "{\"anyOf\":[" : "");
	for (const struct row *shape = row; shape; shape = schema_other(shape)) {
		text_add(t, "%s", shape == row ? "" : ",");
		add_shape(t, shape);
	}
	text_add(t, "%s", is_many ? "]}" : "");
}

int conf_json_schema(struct conf_text *out)
{
	struct text t = { 0 };

	text_add(&t, "{\"$schema\":\"http://json-schema.org/draft-07/schema#\",\"title\":\"sbc configuration\",\"allOf\":[");
	add_schema(&t, schema_root());
	text_add(&t, "]}\n");
	return text_end(&t, out);
}
