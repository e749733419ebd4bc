/* sip/out.h - the builder's pen: appends to a fixed area, never beyond it, and remembers if something did not fit. */
#ifndef SIP_OUT_H
#define SIP_OUT_H
#include "base/sv.h"

struct out {
	char *begin, *at, *end;
	bool is_full; /* something did not fit: the whole is void */
};

static inline void out_init(struct out *o, char *area, size_t size)
{
	*o = (struct out){ area, area, area + size, false };
}
void out_sv(struct out *o, struct sv v);
/* A literal: its length is known, so it is written where it stands. */
static inline void out_known(struct out *o, const char *lit, size_t len)
{
	if ((size_t)(o->end - o->at) < len) {
		o->is_full = true;
		return;
	}
	memcpy(o->at, lit, len);
	o->at += len;
}
#define out_lit(o, lit) out_known((o), (lit), sizeof(lit) - 1)
static inline void out_str(struct out *o, const char *s)
{
	out_sv(o, sv_from(s));
}
void out_u64(struct out *o, uint64_t v); /* decimal */
static inline struct sv out_done(const struct out *o)
{
	return sv_span(o->begin, o->at);
}

#endif
