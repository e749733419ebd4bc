/* topohide/program.h - header rules as they run; between policy.c, which compiles them, and apply.c. */
#ifndef TOPOHIDE_PROGRAM_H
#define TOPOHIDE_PROGRAM_H
#include "base/arena.h"
#include "topohide/policy.h"

struct rule_name {
	uint8_t id;               /* enum hdr_id */
	bool is_glob;             /* HDR_OTHER: what begins with `text` */
	struct sv text;
};

struct rule {
	uint8_t action, message;  /* of conf.h */
	bool drops_signature, any_method;
	uint16_t n_names, n_pieces, n_methods;
	uint32_t methods;         /* bits of enum method */
	const struct rule_name *names;
	struct rule_name to;
	const struct conf_piece *pieces;
	const struct sv *other_methods; /* n_methods of them */
};
_Static_assert(M_COUNT <= 32, "struct rule has a bit for each method");

struct program {
	struct rule *rules;
	unsigned n;
};

struct policy_set {
	uint64_t name;
	uint32_t refs;
	struct arena arena;
	struct program in, out;
};

struct policy_zones {
	struct arena arena;
	unsigned n;
	struct program *in, *out; /* by zone */
};

enum { POLICY_AREA = 2 * 65536 };

#endif
