/* Fuzz: the readers of multipart and dialog-info bodies on arbitrary bytes. What it writes it can read again, and then nothing changes any more; what
 * may not be shown is in no attribute and no text of it. An exact copy is used, so that ASan sees a read beyond it. */
#include "sip/multipart.h"
#include "topohide/dialoginfo.h"
#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 18 };

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* ctx: whether everything stays. */
static void names(void *ctx, struct dialoginfo_names *n)
{
	if (*(bool *)ctx)
		return;
	n->call_id = n->call_id.len ? SV("<c>&\"'") : n->call_id;
	n->local_tag = n->local_tag.len ? SV("l") : n->local_tag;
}

static bool value(void *ctx, struct sv *text)
{
	bool is_inside = sv_find(*text, SV("10.0")) != SIZE_MAX;

	if (is_inside && *(bool *)ctx)
		abort(); /* it was to be hidden */
	if (is_inside)
		*text = SV("sip:out&side");
	return true;
}

static int map(struct out *o, struct sv body, bool stays)
{
	const struct dialoginfo m = { .ctx = &stays, .names = names, .value = value };
	char *area = malloc(ROOM);
	struct arena arena;
	int err;

	must(area != NULL);
	arena_init(&arena, NULL, 0, 0);
	out_init(o, area, ROOM);
	err = dialoginfo_map(o, body, &arena, &m);
	arena_reset(&arena);
	return err;
}

/* Slices stay inside, one behind the other. */
static void try_parts(struct sv body)
{
	const char *at = body.p;
	struct multipart m;
	struct part p;

	must(multipart_begin(&m, SV("multipart/related;boundary=\"b\""), body));
	while (multipart_next(&m, &p)) {
		must(p.headers.p >= at && p.headers.p + p.headers.len <= p.body.p + p.body.len);
		must(p.body.p + p.body.len <= body.p + body.len);
		at = p.body.p + p.body.len;
	}
	must(m.n <= MULTIPART_PARTS_MAX + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *copy;
	struct out once, twice;
	int err;

	if (size > 16384 || !(copy = malloc(size ? size : 1)))
		return 0;
	memcpy(copy, data, size);
	try_parts((struct sv){ copy, size });
	err = map(&once, (struct sv){ copy, size }, false);
	must(err == 0 || err == -EBADMSG);
	if (!err && !once.is_full) {
		must(map(&twice, out_done(&once), true) == 0);
		must(sv_eq(out_done(&once), out_done(&twice)));
		free(twice.begin);
	}
	free(once.begin);
	free(copy);
	return 0;
}
