/* The same bytes, cut in two ways, give the same messages, pings and end; and nothing is read beyond what came. The
 * first bytes of the input seed the cuts. */
#include "base/buf.h"
#include "transports/stream.h"
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

/* One piece, in memory of exactly its size and pad. */
static void feed(struct stream *s, struct stream_budget *budget, const uint8_t *p, size_t len, struct digest *d)
{
	char *copy = malloc(len + BUF_PAD);
	struct stream_message in = { copy, len }, m;
	enum stream_got got;

	if (!copy)
		abort();
	memcpy(copy, p, len);
	memset(copy + len, 0, BUF_PAD);
	while ((got = stream_next(s, budget, &in, &m)) != STREAM_MORE) {
		mix(d, &got, sizeof got);
		if (got != STREAM_MESSAGE && got != STREAM_BROKEN)
			continue;
		mix(d, &m.len, sizeof m.len);
		mix(d, m.p, m.len);
		for (size_t i = 0; i < BUF_PAD; i++) { /* readable, whatever it is */
			volatile char c = m.p[m.len + i];
			(void)c;
		}
		memset(m.p, 'x', m.len); /* and ours to write on */
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

static struct digest run(const uint8_t *p, size_t len, uint64_t random, size_t longest)
{
	struct stream s = { 0 };
	struct stream_budget budget = { .max = 1 << 20 };
	struct digest d = { 14695981039346656037ull, 0 };

	while (len) {
		size_t n = 1 + draw(&random) % longest;

		n = n < len ? n : len;
		feed(&s, &budget, p, n, &d);
		p += n;
		len -= n;
	}
	stream_fini(&s, &budget);
	if (budget.bytes)
		abort();
	return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct digest whole, cut, bytes;
	uint64_t random;

	if (size < 4 || size > 200000)
		return 0;
	random = 1 + (data[0] | (uint64_t)data[1] << 8 | (uint64_t)data[2] << 16);
	whole = run(data + 4, size - 4, random, 65535);
	cut = run(data + 4, size - 4, random, 1 + data[3]);
	if (whole.value != cut.value || whole.n != cut.n)
		abort();
	if (size > 600) /* a byte at a time is slow */
		return 0;
	bytes = run(data + 4, size - 4, random, 1);
	if (whole.value != bytes.value || whole.n != bytes.n)
		abort();
	return 0;
}
