#include "sbc/aim.h"

unsigned aim_choose(struct aim *aim, const struct resolve_answer *a)
{
	unsigned i = 0;

	while (i < a->n && !addr_eq(&a->addr[i], &aim->at))
		i++;
	if (i == a->n)
		i = 0;
	else if (!aim->has_answered)
		i = (i + 1) % a->n;
	*aim = (struct aim){ .at = a->addr[i] };
	return i;
}

void aim_answered(struct aim *aim, const struct addr *at)
{
	if (addr_eq(&aim->at, at))
		aim->has_answered = true;
}
