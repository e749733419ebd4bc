/* base/tlv.h - records for other nodes and other versions: fields of {number (1 byte), length (2 bytes, little-endian), bytes}; a
 * field may hold fields. Whoever reads skips the numbers it does not know. Integers are little-endian without leading zeros. */
#ifndef BASE_TLV_H
#define BASE_TLV_H
#include "base/sv.h"

struct tlv_out {
	char *p;
	size_t len, size;
	bool is_full; /* something did not fit: the whole is void */
};

void tlv_init(struct tlv_out *o, char *area, size_t size);
void tlv_put(struct tlv_out *o, uint8_t field, struct sv bytes);
void tlv_put_u64(struct tlv_out *o, uint8_t field, uint64_t v);
/* A field of fields: what is put between begin and end. `begin` returns the place to give to `end`. */
size_t tlv_begin(struct tlv_out *o, uint8_t field);
void tlv_end(struct tlv_out *o, size_t place);

/* The next field of `*rest`: 0; -ENOENT at the end; -EBADMSG when it is cut. */
int tlv_next(struct sv *rest, uint8_t *field, struct sv *bytes);
/* 0 for what is longer than 8 bytes. */
uint64_t tlv_u64(struct sv bytes);

#endif
