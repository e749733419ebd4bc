/* tests/fuzz/scene.h - a whole node for fuzz targets: calls in every state, and an eye on everything that it sends. */
#ifndef TESTS_FUZZ_SCENE_H
#define TESTS_FUZZ_SCENE_H
#include "tests/flow/flow.h"

enum { SCENE_CALLS = 3, SCENE_TEXT = 160 };

enum scene_state { SCENE_SETUP, SCENE_RINGING, SCENE_ANSWERED };

/* One call as its ends know it: what placeholders stand for. */
struct scene_call {
	char near_contact[SCENE_TEXT], near_tag[SCENE_TEXT]; /* ours: user of the Contact, To-tag */
	char far_contact[SCENE_TEXT], far_tag[SCENE_TEXT], far_call_id[SCENE_TEXT];
	char via[2][1024], branch[2][SCENE_TEXT];            /* of our last request to the near and the far end */
	uint32_t cseq[2];
};

struct scene {
	struct rig *rig;
	struct scene_call call[SCENE_CALLS];
	uint32_t known;    /* secrets that the wrong side has said itself */
	bool has_two;      /* which of the two configurations is in force */
};

void scene_begin(struct scene *s, unsigned workers);
/* `call` n up to `state`, as its ends would do it. */
void scene_call(struct scene *s, unsigned n, enum scene_state state);
/* Bytes from outside: from an address ("192.0.2.10:5060") to a listener as written. */
void scene_send(struct scene *s, const char *from, const char *to, const char *bytes, size_t len, bool is_broken);
/* Lines, each with its "\n"; a CR is put before it. */
void scene_say(struct scene *s, const char *from, const char *to, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
void scene_reload(struct scene *s);
/* Hangs everything up, waits for every timer, aborts if anything is left. */
void scene_end(struct scene *s);

/* Prints and aborts. */
void scene_wrong(const char *what, const char *bytes, size_t len) __attribute__((noreturn));

#endif
