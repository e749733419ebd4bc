#include "sbc/steer.h"
#include "topohide/token.h"
#include <errno.h>

enum { NOBODY = UINT32_MAX, STATUS_LINE_LEAST = 12, METHOD_LEAST = 3, SCHEME = 4, BRANCH_LEAST = 8 };

/* A load outside of the datagram ends the program with 0, which is the first worker. */
_Static_assert((int)STEER_LINE_MAX < (int)STEER_LEAST && STEER_METHOD_MAX + 1 + SCHEME + TOKEN_LEN < (int)STEER_LEAST,
               "what is looked at without asking further lies in every datagram that is looked at");

/* Where a jump over a distance not yet known ends. */
enum label { AT_URI = 1 << 16, AT_VIA, AT_BRANCH, AT_TOKEN };

static void add(struct steer *s, uint16_t code, uint32_t k, uint8_t if_true, uint8_t if_false)
{
	if (s->n < STEER_CODE_MAX)
		s->code[s->n] = (struct sock_filter){ code, if_true, if_false, k };
	s->n++;
}

static void op(struct steer *s, uint16_t code, uint32_t k)
{
	add(s, code, k, 0, 0);
}

/* Left to the kernel unless A is `k`. */
static void require(struct steer *s, uint32_t k)
{
	add(s, BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0);
	op(s, BPF_RET | BPF_K, NOBODY);
}

static void go(struct steer *s, enum label to)
{
	op(s, BPF_JMP | BPF_JA, to);
}

static void label(struct steer *s, enum label here)
{
	for (unsigned i = 0; i < s->n && i < STEER_CODE_MAX; i++)
		if (s->code[i].code == (BPF_JMP | BPF_JA) && s->code[i].k == (uint32_t)here)
			s->code[i].k = s->n - i - 1;
}

/* `size`: BPF_W, BPF_H or BPF_B. */
static uint32_t number_of(struct sv text, size_t at, uint16_t size)
{
	uint32_t n = 0;

	for (size_t i = 0, bytes = size == BPF_W ? 4 : size == BPF_H ? 2 : 1; i < bytes; i++)
		n = n << 8 | (uint8_t)text.p[at + i];
	return n;
}

static void require_text(struct steer *s, struct sv text, size_t at, uint16_t size)
{
	op(s, BPF_LD | size | BPF_IND, (uint32_t)at);
	require(s, number_of(text, at, size));
}

/* The bytes at X are `text`. */
static void require_here(struct steer *s, struct sv text)
{
	size_t at = 0;

	for (; at + 4 <= text.len; at += 4)
		require_text(s, text, at, BPF_W);
	if (at + 2 <= text.len) {
		require_text(s, text, at, BPF_H);
		at += 2;
	}
	if (at < text.len)
		require_text(s, text, at, BPF_B);
}

/* Goes on there with X behind the first `byte` at `first` or later. */
static void find_byte(struct steer *s, char byte, uint32_t first, uint32_t end, enum label then)
{
	for (uint32_t at = first; at < end; at++) {
		op(s, BPF_LD | BPF_B | BPF_ABS, at);
		add(s, BPF_JMP | BPF_JEQ | BPF_K, (uint8_t)byte, 0, 2);
		op(s, BPF_LDX | BPF_IMM, at + 1);
		go(s, then);
	}
	op(s, BPF_RET | BPF_K, NOBODY);
}

/* The token is to lie SCHEME bytes behind X, as in a Request-URI. */
static void request(struct steer *s)
{
	find_byte(s, ' ', METHOD_LEAST, STEER_METHOD_MAX + 1, AT_URI);
	label(s, AT_URI);
	require_here(s, SV("sip:"));
	op(s, BPF_LD | BPF_B | BPF_IND, SCHEME + TOKEN_LEN);
	require(s, '@');
	go(s, AT_TOKEN);
}

/* From X + A, where the branch's cookie begins. */
static void find_cookie(struct steer *s, uint32_t first)
{
	struct sv cookie = SV("z9hG4bK");
	uint32_t word = number_of(cookie, 0, BPF_W);

	for (uint32_t at = first + BRANCH_LEAST; at <= first + STEER_PARAMS_MAX - cookie.len; at++) {
		op(s, BPF_LD | BPF_W | BPF_IND, at);
		add(s, BPF_JMP | BPF_JEQ | BPF_K, word, 0, 2);
		op(s, BPF_LD | BPF_IMM, at + (uint32_t)cookie.len - SCHEME);
		go(s, AT_BRANCH);
	}
	op(s, BPF_RET | BPF_K, NOBODY);
	label(s, AT_BRANCH);
	op(s, BPF_ALU | BPF_ADD | BPF_X, 0);
	op(s, BPF_MISC | BPF_TAX, 0);
}

static void response(struct steer *s, struct sv sent_by)
{
	struct sv via = SV("Via: SIP/2.0/UDP ");
	uint32_t len = (uint32_t)(via.len + sent_by.len);
	char text[64 + STEER_SENT_BY_MAX];

	memcpy(text, via.p, via.len);
	memcpy(text + via.len, sent_by.p, sent_by.len);
	find_byte(s, '\n', STATUS_LINE_LEAST, STEER_LINE_MAX, AT_VIA);
	label(s, AT_VIA);
	op(s, BPF_LD | BPF_W | BPF_LEN, 0);
	op(s, BPF_ALU | BPF_SUB | BPF_X, 0);
	add(s, BPF_JMP | BPF_JGE | BPF_K, len + STEER_PARAMS_MAX + TOKEN_LEN, 1, 0);
	op(s, BPF_RET | BPF_K, NOBODY);
	require_here(s, (struct sv){ text, len });
	find_cookie(s, len);
}

/* A: the lowest two bits of what the base32 character at X + `at` stands for. Letters begin with 0, digits with 2 (26). */
static void low_bits(struct steer *s, uint32_t at)
{
	op(s, BPF_LD | BPF_B | BPF_IND, at);
	add(s, BPF_JMP | BPF_JGE | BPF_K, 'A', 0, 1);
	op(s, BPF_ALU | BPF_SUB | BPF_K, 'A');
	op(s, BPF_ALU | BPF_AND | BPF_K, 3);
}
_Static_assert(('a' - 'A') % 4 == 0 && ('2' - 26) % 4 == 0, "either case, and digits as they are");

/* The worker is what the three bits say, modulo a power of two: topohide/token.h. */
static void choose(struct steer *s, unsigned workers)
{
	if (workers > 4) {
		low_bits(s, SCHEME);
		op(s, BPF_ALU | BPF_AND | BPF_K, 1);
		op(s, BPF_ALU | BPF_LSH | BPF_K, 2);
		op(s, BPF_ST, 0);
	}
	low_bits(s, SCHEME + TOKEN_LEN - 1);
	if (workers > 4) {
		op(s, BPF_LDX | BPF_MEM, 0);
		op(s, BPF_ALU | BPF_OR | BPF_X, 0);
	} else {
		op(s, BPF_ALU | BPF_AND | BPF_K, workers - 1);
	}
	op(s, BPF_RET | BPF_A, 0);
}

int steer_make(struct steer *s, struct sv sent_by, unsigned workers)
{
	unsigned to_response;

	s->n = 0;
	if (workers != 2 && workers != 4 && workers != 8)
		return -ENOTSUP;
	if (sent_by.len > STEER_SENT_BY_MAX)
		return -E2BIG;
	op(s, BPF_LD | BPF_W | BPF_LEN, 0);
	add(s, BPF_JMP | BPF_JGE | BPF_K, STEER_LEAST, 1, 0);
	op(s, BPF_RET | BPF_K, NOBODY);
	op(s, BPF_LD | BPF_W | BPF_ABS, 0);
	add(s, BPF_JMP | BPF_JEQ | BPF_K, number_of(SV("SIP/"), 0, BPF_W), 0, 0);
	to_response = s->n - 1u;
	request(s);
	s->code[to_response].jt = (uint8_t)(s->n - to_response - 1);
	response(s, sent_by);
	label(s, AT_TOKEN);
	choose(s, workers);
	return s->n <= STEER_CODE_MAX ? 0 : -E2BIG;
}
