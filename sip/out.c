/* sip/out.c - what of the builder's pen is too long to be inline. */
#include "sip/out.h"

void out_u64(struct out *o, uint64_t v)
{
	char digits[20], *p = digits + sizeof(digits);

	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	out_sv(o, sv_span(p, digits + sizeof(digits)));
}
