/* sip/out.c - what of the builder's pen is too long to be inline. */
#include "sip/out.h"

void out_u64(struct out *o, uint64_t v)
{
	char digits[SV_DECIMAL];

	out_sv(o, sv_decimal(v, digits));
}
