/* base/json.h - writes JSON (RFC 8259) into a fixed area and remembers when it did not fit. No allocation.
 *
 *	struct json j;
 *	json_init(&j, area, sizeof(area));
 *	json_object(&j);
 *	json_member_str(&j, "pool", pool);
 *	json_key(&j, "destinations");
 *	json_array(&j);
 *	...
 *	json_array_end(&j);
 *	json_object_end(&j);
 *	text = json_done(&j);
 *
 * struct json is a value: a copy taken before an element and put back when the element did not fit takes the
 * element back (`struct json before = j; ...; if (j.overflow) j = before;`). */
#ifndef BASE_JSON_H
#define BASE_JSON_H
#include "base/sv.h"

struct json {
	char *p;
	size_t size, len;
	unsigned depth;     /* objects and arrays still open */
	bool needs_comma;
	bool overflow;      /* something was left out; nothing is written any more */
};

void json_init(struct json *j, char *area, size_t size);
void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);
/* The name of the object member whose value comes next: a word of ours, nothing in it needs an escape. */
void json_key_sv(struct json *j, struct sv key);
static inline void json_key(struct json *j, const char *key)
{
	json_key_sv(j, sv_from(key)); /* a literal's length is known */
}
/* Any bytes. What is no UTF-8 is taken as Latin-1, so nothing is lost and the result is always valid JSON. */
void json_str(struct json *j, struct sv v);
/* The same for words of our own, in which nothing has to be escaped: numbers in hex, addresses, literals. */
void json_word(struct json *j, struct sv v);
void json_u64(struct json *j, uint64_t v);
void json_i64(struct json *j, int64_t v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);
/* A value that is JSON already. */
void json_raw(struct json *j, struct sv v);

static inline void json_member_str(struct json *j, const char *key, struct sv v)
{
	json_key(j, key);
	json_str(j, v);
}
static inline void json_member_word(struct json *j, const char *key, struct sv v)
{
	json_key(j, key);
	json_word(j, v);
}
static inline void json_member_u64(struct json *j, const char *key, uint64_t v)
{
	json_key(j, key);
	json_u64(j, v);
}
static inline void json_member_i64(struct json *j, const char *key, int64_t v)
{
	json_key(j, key);
	json_i64(j, v);
}
static inline void json_member_bool(struct json *j, const char *key, bool v)
{
	json_key(j, key);
	json_bool(j, v);
}

/* What was written (borrowed from the area), or {NULL, 0} after an overflow or with something still open. */
struct sv json_done(const struct json *j);

/* The inside of a JSON string: as much of `v` as fits into `room` bytes, never half an escape or half a
 * character. Returns the bytes written; `*taken` is how much of `v` they stand for. */
size_t json_escape(char *out, size_t room, struct sv v, size_t *taken);
/* Bytes of the UTF-8 character (RFC 3629) at the start of `v`: 1 to 4, or 0 when it is none. */
size_t utf8_len(struct sv v);

#endif
