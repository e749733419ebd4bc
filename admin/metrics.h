/* admin/metrics.h - what /metrics and `sbcctl metrics` say: Prometheus' text format 0.0.4. Counter blocks of one kind (equal
 * table of definitions) are summed, whichever worker they belong to. Control thread; blocks may change meanwhile. */
#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H
#include "base/counters.h"
#include "base/sv.h"

enum metrics_limits {
	METRICS_BLOCKS_MAX = 1024,
	METRICS_FAMILIES_MAX = 256,
	METRICS_LINES_MAX = 50000,     /* with labels, in all; those beyond are left out and counted in sbc_metrics_left_out */
	METRICS_LABELS_MAX = 8,        /* of one line */
	METRICS_TEXT_MAX = 32 << 20,   /* bytes */
};

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8" /* its media type */

struct metrics;
struct metrics_lines;                  /* of one family, being written */

struct metrics_label {
	const char *name;
	struct sv value;               /* any bytes */
};

/* 0 or -ENOMEM. */
int metrics_new(struct metrics **out);
void metrics_free(struct metrics *m);
/* Names become "sbc_" + definition's name. `block` and its definitions outlive `m`. 0, -EEXIST (a
 * name is taken by another table), -ENOSPC. */
int metrics_add(struct metrics *m, const struct counters *block);
/* A family whose lines have labels: `write` is called for each rendering and calls metrics_line once per line. `name`
 * (without "sbc_") and `help` are kept as pointers. 0, -EEXIST (the name is taken), -ENOSPC. */
int metrics_add_family(struct metrics *m, const char *name, const char *help, bool is_gauge,
                       void (*write)(void *ctx, struct metrics_lines *l), void *ctx);
void metrics_line(struct metrics_lines *l, const struct metrics_label *labels, unsigned n, uint64_t value);

/* 0 with `out->p` the caller's to free(), -ENOMEM, or -EFBIG. */
struct metrics_text {
	char *p;
	size_t len;
};
int metrics_render(struct metrics *m, struct metrics_text *out);

#endif
