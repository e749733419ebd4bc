/* sip/out.c - what of the builder's pen is too long to be inline. */
#include "sip/out.h"

void out_sv(struct out *o, struct sv v)
{
	if ((size_t)(o->end - o->at) < v.len)
		o->is_full = true;
	else
		o->at = sv_copy(o->at, v);
}

void out_u64(struct out *o, uint64_t v)
{
	char digits[SV_DECIMAL], one = (char)('0' + v);

	if (v < 10)
		out_known(o, &one, 1);
	else
		out_sv(o, sv_decimal(v, digits));
}
