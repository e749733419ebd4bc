/* Fuzz: an operator's decision as another node or a file would bring it. What is taken reads the same after it was written again; merging
 * never loses to itself, and the bound holds. */
#include "dispatcher/wish.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
	if (!holds)
		abort();
}

static void merged(struct sv record)
{
	struct wishes *w = NULL;
	struct pools *p;

	check(pools_new(&p, 1) == 0 && wishes_new(&w, p) == 0);
	check(wishes_merge(w, NULL, record, 0) == 0);
	check(wishes_merge(w, NULL, record, 0) != 0); /* the same again is not newer */
	check(wishes_count(w) == 1);
	wishes_free(w);
	pools_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sv record = { (const char *)data, size }, name, again_name;
	char area[WISH_RECORD_MAX];
	struct wish wish, again;
	size_t len;

	if (wish_decode(&wish, &name, record))
		return 0;
	len = wish_encode(&wish, name, area, sizeof(area));
	check(len > 0);
	check(wish_decode(&again, &again_name, (struct sv){ area, len }) == 0);
	check(sv_eq(name, again_name) && again.wish == wish.wish && again.version == wish.version && again.since_ms == wish.since_ms);
	check(again.deadline_ms == wish.deadline_ms && again.gone_ms == wish.gone_ms);
	check(!wish.deadline_ms || again.then == wish.then);
	check(!strcmp(again.actor, wish.actor) && !strcmp(again.reason, wish.reason));
	if (size % 64 == 0) /* struct pools is large: now and then */
		merged(record);
	return 0;
}
