/* The same bytes, cut in two ways, give the same messages, control frames and end; nothing is read beyond what came, text is UTF-8,
 * nothing is longer than its bound, and what is held stays within the budget. Of the input's first bytes one says whose side we are
 * on; the others seed the cuts. */
#include "transports/net.h"
#include "transports/ws.h"
#include <stdlib.h>

struct digest {
	uint64_t value;
	size_t n;
};

static void mix(struct digest *d, const void *p, size_t len)
{
	const unsigned char *c = p;

	for (size_t i = 0; i < len; i++)
		d->value = (d->value ^ c[i]) * 1099511628211ull;
	d->n++;
}

static void note(struct digest *d, enum ws_got got, const struct ws_event *e)
{
	struct sv text = { e->payload.p, e->payload.len };

	mix(d, &got, sizeof got);
	mix(d, &e->code, sizeof e->code);
	mix(d, &e->fault, sizeof e->fault);
	if (got == WS_GOT_CLOSE || got == WS_GOT_FAULT)
		return;
	mix(d, &e->is_text, sizeof e->is_text);
	mix(d, text.p, text.len);
	if (text.len > (got == WS_GOT_MESSAGE ? NET_MESSAGE_MAX : WS_CONTROL_MAX) || (e->is_text && !ws_is_utf8(text)))
		abort();
	for (size_t i = 0; i < BUF_PAD; i++) { /* readable, whatever it is */
		volatile char c = text.p[text.len + i];
		(void)c;
	}
	memset(e->payload.p, 'x', text.len); /* and ours to write on */
}

/* One piece, in memory of exactly its size and pad. */
static void feed(struct ws *ws, struct stream_budget *budget, const uint8_t *p, size_t len, struct digest *d)
{
	char *copy = malloc(len + BUF_PAD);
	struct stream_message in = { copy, len };
	struct ws_event e = { 0 };
	enum ws_got got;

	if (!copy)
		abort();
	memcpy(copy, p, len);
	memset(copy + len, 0, BUF_PAD);
	while ((got = ws_next(ws, budget, &in, &e)) != WS_GOT_MORE) {
		if (budget->bytes > budget->max || got == WS_GOT_FULL)
			abort();
		note(d, got, &e);
	}
	if (in.len)
		abort();
	free(copy);
}

static uint64_t draw(uint64_t *random)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return *random;
}

static struct digest run(const uint8_t *p, size_t len, bool is_client, uint64_t random, size_t longest)
{
	struct ws ws = { .is_client = is_client };
	struct stream_budget budget = { .max = 1 << 20 };
	struct digest d = { 14695981039346656037ull, 0 };

	while (len) {
		size_t n = 1 + draw(&random) % longest;

		n = n < len ? n : len;
		feed(&ws, &budget, p, n, &d);
		p += n;
		len -= n;
	}
	ws_fini(&ws, &budget);
	if (budget.bytes)
		abort();
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest whole, cut;
	uint64_t random;
	bool is_client;

	if (size < 4 || size > 200000)
		return 0;
	random = 1 + (data[1] | (uint64_t)data[2] << 8);
	is_client = data[0] & 1;
	whole = run(data + 4, size - 4, is_client, random, 65535);
	cut = run(data + 4, size - 4, is_client, random, 1 + data[3]);
	if (whole.value != cut.value || whole.n != cut.n)
		abort();
	return 0;
}
