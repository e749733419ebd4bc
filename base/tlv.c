#include "base/tlv.h"
#include <errno.h>

enum { HEAD = 3, FIELD_MAX = 65535 };

void tlv_init(struct tlv_out *o, char *area, size_t size)
{
	*o = (struct tlv_out){ .p = area, .size = size };
}

static void head_write(char *at, uint8_t field, size_t len)
{
	at[0] = (char)field;
	at[1] = (char)(len & 0xff);
	at[2] = (char)(len >> 8);
}

void tlv_put(struct tlv_out *o, uint8_t field, struct sv bytes)
{
	if (bytes.len > FIELD_MAX || o->size - o->len < HEAD + bytes.len) {
		o->is_full = true;
		return;
	}
	head_write(o->p + o->len, field, bytes.len);
	if (bytes.len)
		memcpy(o->p + o->len + HEAD, bytes.p, bytes.len);
	o->len += HEAD + bytes.len;
}

void tlv_put_u64(struct tlv_out *o, uint8_t field, uint64_t v)
{
	char bytes[8];
	size_t n = 0;

	for (; v; v >>= 8)
		bytes[n++] = (char)(v & 0xff);
	tlv_put(o, field, (struct sv){ bytes, n });
}

size_t tlv_begin(struct tlv_out *o, uint8_t field)
{
	size_t place = o->len;

	tlv_put(o, field, SV(""));
	return place;
}

void tlv_end(struct tlv_out *o, size_t place)
{
	size_t len = o->len - place - HEAD;

	if (o->is_full || len > FIELD_MAX)
		o->is_full = true;
	else
		head_write(o->p + place, (uint8_t)o->p[place], len);
}

int tlv_next(struct sv *rest, uint8_t *field, struct sv *bytes)
{
	size_t len;

	if (!rest->len)
		return -ENOENT;
	if (rest->len < HEAD)
		return -EBADMSG;
	len = (uint8_t)rest->p[1] | (size_t)(uint8_t)rest->p[2] << 8;
	if (rest->len - HEAD < len)
		return -EBADMSG;
	*field = (uint8_t)rest->p[0];
	*bytes = (struct sv){ rest->p + HEAD, len };
	*rest = sv_skip(*rest, HEAD + len);
	return 0;
}

uint64_t tlv_u64(struct sv bytes)
{
	uint64_t v = 0;

	if (bytes.len > 8)
		return 0;
	for (size_t i = bytes.len; i-- > 0;)
		v = v << 8 | (uint8_t)bytes.p[i];
	return v;
}
