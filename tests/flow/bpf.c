#include "tests/flow/bpf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

struct machine {
	uint32_t a, x, memory[BPF_MEMWORDS];
	struct sv datagram;
};

/* False: outside. */
static bool load(struct machine *m, uint16_t code, uint64_t at)
{
	unsigned size = BPF_SIZE(code) == BPF_W ? 4 : BPF_SIZE(code) == BPF_H ? 2 : 1;

	if (at + size > m->datagram.len)
		return false;
	m->a = 0;
	for (unsigned i = 0; i < size; i++)
		m->a = m->a << 8 | (uint8_t)m->datagram.p[at + i];
	return true;
}

static void calculate(struct machine *m, uint16_t code, uint32_t k)
{
	uint32_t with = BPF_SRC(code) == BPF_X ? m->x : k;

	switch (BPF_OP(code)) {
	case BPF_ADD: m->a += with; break;
	case BPF_SUB: m->a -= with; break;
	case BPF_AND: m->a &= with; break;
	case BPF_OR: m->a |= with; break;
	case BPF_LSH: m->a <<= with; break;
	default: fail_msg("unknown calculation %x", code);
	}
}

/* How many instructions are passed over. */
static uint32_t jump(const struct machine *m, const struct sock_filter *f)
{
	bool is_true;

	if (BPF_OP(f->code) == BPF_JA)
		return f->k;
	if (BPF_OP(f->code) != BPF_JEQ && BPF_OP(f->code) != BPF_JGE)
		fail_msg("unknown jump %x", f->code);
	is_true = BPF_OP(f->code) == BPF_JEQ ? m->a == f->k : m->a >= f->k;
	return is_true ? f->jt : f->jf;
}

uint32_t bpf_run(const struct sock_filter *code, unsigned n, struct sv datagram)
{
	struct machine m = { .datagram = datagram };

	for (unsigned at = 0; at < n; at++) {
		const struct sock_filter *f = &code[at];

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_LEN: m.a = (uint32_t)datagram.len; break;
		case BPF_LD | BPF_IMM: m.a = f->k; break;
		case BPF_LDX | BPF_IMM: m.x = f->k; break;
		case BPF_LDX | BPF_MEM: m.x = m.memory[f->k % BPF_MEMWORDS]; break;
		case BPF_ST: m.memory[f->k % BPF_MEMWORDS] = m.a; break;
		case BPF_MISC | BPF_TAX: m.x = m.a; break;
		case BPF_RET | BPF_K: return f->k;
		case BPF_RET | BPF_A: return m.a;
		default:
			if (BPF_CLASS(f->code) == BPF_LD && BPF_MODE(f->code) != BPF_ABS && BPF_MODE(f->code) != BPF_IND)
				fail_msg("unknown instruction %x", f->code);
			if (BPF_CLASS(f->code) == BPF_LD && !load(&m, f->code, (BPF_MODE(f->code) == BPF_IND ? (uint64_t)m.x : 0) + f->k))
				return 0;
			if (BPF_CLASS(f->code) == BPF_ALU)
				calculate(&m, f->code, f->k);
			if (BPF_CLASS(f->code) == BPF_JMP)
				at += jump(&m, f);
		}
	}
	fail_msg("the program has no end");
	return 0;
}
