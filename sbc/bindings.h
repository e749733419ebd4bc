/* sbc/bindings.h - what operators see and do of registrations: the verbs bindings and unregister, and contacts by domain and transport for
 * the metrics. Control thread, but for domains_read. */
#ifndef SBC_BINDINGS_H
#define SBC_BINDINGS_H
#include "sbc/ask.h"

enum bindings_limits {
	BINDINGS_ROWS_MAX = 10000,     /* contacts listed per worker */
	BINDINGS_TEXT_MAX = 256,       /* bytes shown of an AOR, a Contact, an instance */
};

struct ctl;
struct metrics_lines;

/* The verbs. 0, or as ctl_register. `asker` outlives them. */
int bindings_add_verbs(struct ctl *ctl, struct asker *asker);

struct domain_row {
	char domain[256];
	uint32_t by_transport[T_COUNT];
};
struct domain_rows {
	struct domain_row *rows;       /* malloc()ed, by name */
	size_t n;
};
/* On the worker. Without memory there are none. */
void domains_read(struct worker *w, struct domain_rows *out);
/* Those of `n` workers (each may be NULL) together. */
void domains_write(const struct domain_rows *const *of, unsigned n, struct metrics_lines *lines);

#endif
