/* admin/metrics.c */
#include "admin/metrics.h"
#include "admin/text.h"
#include "base/json.h"
#include <errno.h>
#include <stdlib.h>

struct family {
	const char *name, *help;
	bool is_gauge;
	void (*write)(void *ctx, struct metrics_lines *l);
	void *ctx;
};

struct metrics {
	const struct counters *block[METRICS_BLOCKS_MAX];
	struct family family[METRICS_FAMILIES_MAX];
	unsigned n_blocks, n_families;
};

struct metrics_lines {
	struct text *out;
	const struct family *family;
	unsigned left;                  /* lines that may still be written */
	uint64_t left_out;
};

int metrics_new(struct metrics **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void metrics_free(struct metrics *m)
{
	free(m);
}

static bool has_name(const struct counters *c, const char *name)
{
	for (unsigned i = 0; i < c->n; i++)
		if (strcmp(c->defs[i].name, name) == 0)
			return true;
	return false;
}

/* A page may tell the type of a name once only. */
static bool name_is_taken(const struct metrics *m, const struct counter_def *but_not_by, const char *name)
{
	for (unsigned b = 0; b < m->n_blocks; b++)
		if (m->block[b]->defs != but_not_by && has_name(m->block[b], name))
			return true;
	for (unsigned i = 0; i < m->n_families; i++)
		if (strcmp(m->family[i].name, name) == 0)
			return true;
	return false;
}

int metrics_add(struct metrics *m, const struct counters *block)
{
	for (unsigned i = 0; i < block->n; i++)
		if (name_is_taken(m, block->defs, block->defs[i].name))
			return -EEXIST;
	if (m->n_blocks == METRICS_BLOCKS_MAX)
		return -ENOSPC;
	m->block[m->n_blocks++] = block;
	return 0;
}

int metrics_add_family(struct metrics *m, const char *name, const char *help, bool is_gauge,
                       void (*write)(void *ctx, struct metrics_lines *l), void *ctx)
{
	if (name_is_taken(m, NULL, name))
		return -EEXIST;
	if (m->n_families == METRICS_FAMILIES_MAX)
		return -ENOSPC;
	m->family[m->n_families++] = (struct family){ name, help, is_gauge, write, ctx };
	return 0;
}

/* Help texts are ours; a backslash or line end in one would still break the page. */
static void head(struct text *out, const char *name, const char *help, bool is_gauge)
{
	text_printf(out, "# HELP sbc_%s ", name);
	for (; *help; help++) {
		if (*help == '\\' || *help == '\n')
			text_str(out, *help == '\n' ? "\\n" : "\\\\");
		else
			text_sv(out, (struct sv){ help, 1 });
	}
	text_printf(out, "\n# TYPE sbc_%s %s\n", name, is_gauge ? "gauge" : "counter");
}

static uint64_t sum_of(const struct metrics *m, const struct counter_def *defs, unsigned which)
{
	uint64_t sum = 0;

	for (unsigned b = 0; b < m->n_blocks; b++)
		if (m->block[b]->defs == defs)
			sum += counter_get(m->block[b], which);
	return sum;
}

static bool is_first_of_kind(const struct metrics *m, unsigned b)
{
	for (unsigned i = 0; i < b; i++)
		if (m->block[i]->defs == m->block[b]->defs)
			return false;
	return true;
}

static void render_blocks(const struct metrics *m, struct text *out)
{
	for (unsigned b = 0; b < m->n_blocks; b++) {
		const struct counters *c = m->block[b];

		for (unsigned i = 0; is_first_of_kind(m, b) && i < c->n; i++) {
			head(out, c->defs[i].name, c->defs[i].help, c->defs[i].is_gauge);
			text_printf(out, "sbc_%s %llu\n", c->defs[i].name,
			            (unsigned long long)sum_of(m, c->defs, i));
		}
	}
}

/* Label values are UTF-8 with \, " and line feed escaped; other bytes, which could be no valid page, become U+FFFD. */
static void label_value(struct text *out, struct sv v)
{
	size_t n;

	for (; v.len; v = sv_skip(v, n)) {
		n = utf8_len(v);
		if (*v.p == '\n')
			text_str(out, "\\n");
		else if (*v.p == '\\' || *v.p == '"')
			text_printf(out, "\\%c", *v.p);
		else
			text_sv(out, n && *v.p ? (struct sv){ v.p, n } : SV("\xef\xbf\xbd"));
		n = n ? n : 1;
	}
}

void metrics_line(struct metrics_lines *l, const struct metrics_label *labels, unsigned n, uint64_t value)
{
	if (!l->left) {
		l->left_out++;
		return;
	}
	l->left--;
	text_printf(l->out, "sbc_%s", l->family->name);
	for (unsigned i = 0; i < n && i < METRICS_LABELS_MAX; i++) {
		text_printf(l->out, "%s%s=\"", i ? "," : "{", labels[i].name);
		label_value(l->out, labels[i].value);
		text_str(l->out, "\"");
	}
	text_printf(l->out, "%s %llu\n", n ? "}" : "", (unsigned long long)value);
}

static uint64_t render_families(const struct metrics *m, struct text *out)
{
	struct metrics_lines l = { .out = out, .left = METRICS_LINES_MAX };

	for (unsigned i = 0; i < m->n_families; i++) {
		l.family = &m->family[i];
		head(out, l.family->name, l.family->help, l.family->is_gauge);
		l.family->write(l.family->ctx, &l);
	}
	return l.left_out;
}

int metrics_render(struct metrics *m, struct metrics_text *out)
{
	struct text text = text_of(METRICS_TEXT_MAX);
	uint64_t left_out;
	int err;

	render_blocks(m, &text);
	left_out = render_families(m, &text);
	head(&text, "metrics_left_out", "Lines this page has no room for.", true);
	text_printf(&text, "sbc_metrics_left_out %llu\n", (unsigned long long)left_out);
	err = text.err;
	if (err) {
		text_fini(&text);
		return err;
	}
	*out = (struct metrics_text){ text.p, text.len };
	return 0;
}
