/* conf/conf.c - a file or a text becomes a snapshot, or a list of what is wrong with it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/hash.h"
#include "conf/reader.h"

enum { BRACKETS_MAX = 500, ANCHORS_MAX = 4096, DIRECTIVES_MAX = 8 };

/* Length of the UTF-8 sequence at the start of `v` (RFC 3629 §4), or 0: overlong, surrogate, beyond U+10FFFF, cut off. */
static size_t utf8_len(struct sv v)
{
	const unsigned char *p = (const unsigned char *)v.p;
	size_t n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3 : (p[0] & 0xf8) == 0xf0 ? 4 : 0;

	if (n == 0 || n > v.len || p[0] == 0xc0 || p[0] == 0xc1 || p[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static struct conf_mark mark_at(struct sv yaml, size_t at)
{
	struct conf_mark mark = { 1, 1 };

	for (size_t i = 0; i < at && i < yaml.len; i++) {
		if (yaml.p[i] == '\n') {
			mark.line++;
			mark.col = 1;
		} else if ((yaml.p[i] & 0xc0) != 0x80) {
			mark.col++;
		}
	}
	return mark;
}

static int refuse(struct conf_notes *notes, struct conf_mark at, const char *text)
{
	notes_add(notes, true, at, "", text);
	return notes->out_of_memory ? -ENOMEM : -EINVAL;
}

/* libyaml takes time quadratic in open brackets, anchors and directives: minutes for a file of 4 MiB. Counted roughly, in
 * texts and comments too: no file for us comes near. */
static int check_counts(struct sv yaml, struct conf_notes *notes)
{
	unsigned open = 0, anchors = 0, directives = 0;

	for (size_t i = 0; i < yaml.len; i++) {
		char c = yaml.p[i];

		if (c == '[' || c == '{')
			open++;
		else if ((c == ']' || c == '}') && open)
			open--;
		anchors += c == '&';
		directives += c == '%' && (i == 0 || yaml.p[i - 1] == '\n');
		if (open > BRACKETS_MAX)
			return refuse(notes, mark_at(yaml, i), "hundreds of [ and { are open here: close them");
		if (anchors > ANCHORS_MAX)
			return refuse(notes, mark_at(yaml, i), "thousands of anchors (&) up to here: write the values");
		if (directives > DIRECTIVES_MAX)
			return refuse(notes, mark_at(yaml, i), "too many directives (%): a configuration needs none");
	}
	return 0;
}

static int check_bytes(struct sv yaml, struct conf_notes *notes)
{
	if (yaml.len > CONF_FILE_MAX)
		return refuse(notes, (struct conf_mark){ 0 }, "longer than 4 MiB");
	for (size_t i = 0, n; i < yaml.len; i += n) {
		n = utf8_len(sv_skip(yaml, i));
		if (n == 0)
			return refuse(notes, mark_at(yaml, i), "not UTF-8: save the file in that encoding");
		if (yaml.p[i] == '\0')
			return refuse(notes, mark_at(yaml, i), "a NUL byte: this is no text file");
	}
	return check_counts(yaml, notes);
}

static int syntax_error(const yaml_parser_t *parser, struct sv yaml, struct conf_notes *notes)
{
	struct conf_mark at = reader_mark(&parser->problem_mark);
	bool wants_quotes = parser->problem && strstr(parser->problem, "mapping values");
	char text[256];

	/* Where libyaml's loader runs out of memory, it says that no error is what stopped it. */
	if (parser->error == YAML_MEMORY_ERROR || parser->error == YAML_NO_ERROR)
		return -ENOMEM;
	if (parser->error == YAML_READER_ERROR)
		at = mark_at(yaml, parser->problem_offset);
	snprintf(text, sizeof(text), "YAML: %s%s%s%s", parser->context ? parser->context : "", parser->context ? ": " : "",
	         parser->problem ? parser->problem : "cannot be read",
	         wants_quotes ? " (a word with `:`, `#`, `*`, `{` or `[` in it wants quotes)" : "");
	return refuse(notes, at, text);
}

/* One document, and nothing behind it. */
static int load_document(yaml_parser_t *parser, struct sv yaml, yaml_document_t *doc, struct conf_notes *notes)
{
	yaml_document_t second;
	yaml_node_t *root;
	int err = 0;

	if (!yaml_parser_load(parser, doc))
		return syntax_error(parser, yaml, notes);
	if (!yaml_document_get_root_node(doc))
		return 0;
	if (!yaml_parser_load(parser, &second)) {
		err = syntax_error(parser, yaml, notes);
	} else {
		if ((root = yaml_document_get_root_node(&second)))
			err = refuse(notes, reader_mark(&root->start_mark), "a second document (---): one file is one configuration");
		yaml_document_delete(&second);
	}
	if (err)
		yaml_document_delete(doc);
	return err;
}

static struct conf *conf_new(const char *file)
{
	struct conf_arena *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	arena_init(&a->arena, NULL, 0, READER_ARENA_MAX);
	a->conf.arena = a;
	a->conf.file = arena_dup(&a->arena, sv_from(file));
	if (!a->conf.file.p) {
		conf_free(&a->conf);
		return NULL;
	}
	return &a->conf;
}

void conf_free(struct conf *c)
{
	struct conf_arena *a;

	if (!c)
		return;
	conf_tls_free(c);
	a = c->arena;
	regexes_free(a->regexes);
	arena_reset(&a->arena);
	free(a);
}

static int read_document(struct conf *c, yaml_document_t *doc, const struct conf_live *live, struct conf_notes *notes)
{
	unsigned errors = notes->errors;
	struct reader r = { .conf = c, .arena = &c->arena->arena, .notes = notes, .live = live, .doc = doc };
	int err = reader_run(&r);

	notes_sort(notes);
	return err ? err : notes->errors > errors ? -EINVAL : 0;
}

int conf_parse(struct conf **out, const char *file, struct sv yaml, struct conf_notes *notes)
{
	return conf_parse_live(out, file, yaml, NULL, notes);
}

int conf_parse_live(struct conf **out, const char *file, struct sv yaml, const struct conf_live *live, struct conf_notes *notes)
{
	yaml_parser_t parser;
	yaml_document_t doc;
	struct conf *c = NULL;
	int err;

	if (!yaml.p)
		yaml = SV(""); /* libyaml asserts that there are bytes */
	if ((err = check_bytes(yaml, notes)))
		return err;
	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&parser, (const unsigned char *)yaml.p, yaml.len);
	err = load_document(&parser, yaml, &doc, notes);
	if (!err) {
		c = conf_new(file);
		err = c ? read_document(c, &doc, live, notes) : -ENOMEM;
		if (!err && !(c->text = arena_dup(&c->arena->arena, yaml)).p)
			err = -ENOMEM;
		yaml_document_delete(&doc);
	}
	yaml_parser_delete(&parser);
	if (err) {
		conf_free(c);
		return err;
	}
	*out = c;
	return 0;
}

/* Up to one byte more than is allowed, so that a longer file is seen. */
static int read_file(int fd, char **out, size_t *len)
{
	char *bytes = malloc(CONF_FILE_MAX + 1);
	ssize_t n = 1;

	if (!bytes)
		return -ENOMEM;
	*len = 0;
	while (n > 0 && *len <= CONF_FILE_MAX) {
		n = read(fd, bytes + *len, CONF_FILE_MAX + 1 - *len);
		if (n > 0)
			*len += (size_t)n;
		else if (n < 0 && errno == EINTR)
			n = 1;
	}
	if (n < 0) {
		free(bytes);
		return -errno;
	}
	*out = bytes;
	return 0;
}

int reader_file(const char *file, char **bytes, size_t *len)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = read_file(fd, bytes, len);
	close(fd);
	return err;
}

uint64_t conf_file_stamp(const char *file)
{
	const struct hash_key key = { 0x66696c65, 0x7374616d70 };
	struct stat st;
	uint64_t what[4];

	if (stat(file, &st))
		return 1;
	what[0] = (uint64_t)st.st_mtim.tv_sec;
	what[1] = (uint64_t)st.st_mtim.tv_nsec;
	what[2] = (uint64_t)st.st_size;
	what[3] = (uint64_t)st.st_ino;
	return hash_bytes(&key, what, sizeof(what)) | 2;
}

int conf_load(struct conf **out, const char *file, struct conf_notes *notes)
{
	return conf_load_live(out, file, NULL, notes);
}

int conf_load_live(struct conf **out, const char *file, const struct conf_live *live, struct conf_notes *notes)
{
	char *bytes = NULL;
	size_t len = 0;
	int err = reader_file(file, &bytes, &len);

	if (err) {
		notes_add(notes, true, (struct conf_mark){ 0 }, "", err == -ENOENT ? "no such file" : strerror(-err));
		return err;
	}
	err = conf_parse_live(out, file, (struct sv){ bytes, len }, live, notes);
	free(bytes);
	return err;
}

int conf_find_pool(const struct conf *c, struct sv name)
{
	for (unsigned i = 0; i < c->n_pools; i++) {
		if (sv_eq(c->pools[i].name, name))
			return (int)i;
	}
	return -1;
}

const struct conf_destination *conf_find_destination(const struct conf *c, struct sv pool, struct sv name)
{
	int index = conf_find_pool(c, pool);
	const struct conf_pool *p = index < 0 ? NULL : &c->pools[index];

	for (unsigned i = 0; p && i < p->n_destinations; i++)
		if (sv_eq(p->destinations[i].name, name))
			return &p->destinations[i];
	return NULL;
}

int conf_find_zone(const struct conf *c, struct sv name)
{
	for (unsigned i = 0; i < c->n_zones; i++) {
		if (sv_eq(c->zones[i].name, name))
			return (int)i;
	}
	return -1;
}

int conf_find_rules(const struct conf *c, struct sv name)
{
	for (unsigned i = 0; i < c->n_rules; i++) {
		if (sv_eq(c->rules[i].name, name))
			return (int)i;
	}
	return -1;
}
