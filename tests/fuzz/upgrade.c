/* The same bytes, cut in two ways, are judged alike and leave the same bytes behind them; an answer fits its room; what a server
 * takes is what a client's check would look at without reading beyond it. The first bytes of the input seed the cuts. */
#include "transports/upgrade.h"
#include <stdlib.h>

static const struct sv home[] = { { "https://*.example.com", 21 } };
static const struct upgrade_rules rules = { .path = { "/sip", 4 }, .origins = home, .n_origins = 1 };

struct result {
	unsigned status;             /* 0: not yet */
	int check;                   /* of it as a server's answer */
	size_t behind;               /* bytes of the input that are not the head's */
};

static uint64_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static void judge(struct result *r, const struct upgrade_head *head)
{
	char answer[UPGRADE_ANSWER_MAX];
	struct sv key = { 0 };
	size_t len;

	r->status = upgrade_judge(&rules, head, &key);
	r->check = upgrade_check(head, SV("dGhlIHNhbXBsZSBub25jZQ=="));
	len = upgrade_answer(r->status, key, answer);
	if (!len || len >= sizeof answer || (r->status == 101) != (key.len == UPGRADE_KEY_LEN))
		abort();
}

static struct result run(const uint8_t *p, size_t len, uint64_t random, size_t longest)
{
	struct stream_budget budget = { .max = 1 << 16 };
	struct upgrade u = { 0 };
	struct result r = { 0 };

	while (len && !r.status) {
		size_t n = 1 + draw(&random) % longest;
		struct stream_message in = { .len = n = n < len ? n : len };
		char *copy = in.p = malloc(n); /* of exactly its size */
		struct upgrade_head head;
		enum upgrade_got got;

		if (!copy)
			abort();
		memcpy(copy, p, n);
		got = upgrade_next(&u, &budget, &in, &head);
		if (got == UPGRADE_FULL || budget.bytes > 2 * UPGRADE_HEAD_MAX)
			abort();
		p += n;
		len -= n;
		if (got == UPGRADE_READ) {
			judge(&r, &head);
			r.behind = head.status ? 0 : in.len + len;
		}
		free(copy);
	}
	upgrade_fini(&u, &budget);
	if (budget.bytes)
		abort();
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct result whole, cut;
	uint64_t random;

	if (size < 4 || size > 40000)
		return 0;
	random = 1 + (data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16);
	whole = run(data + 4, size - 4, random, 65535);
	cut = run(data + 4, size - 4, random, 1 + data[3]);
	if (whole.status != cut.status || whole.check != cut.check || whole.behind != cut.behind)
		abort();
	return 0;
}
