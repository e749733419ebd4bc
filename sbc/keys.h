/* sbc/keys.h - where the secrets behind our identifiers come from (DECISIONS 2). */
#ifndef SBC_KEYS_H
#define SBC_KEYS_H
#include "conf/conf.h"
#include "topohide/token.h"

/* identity.keys of the configuration, else a file made at first start in the state directory (mode 0600). Fills `secrets`, newest
 * first. 0 with `*n`, or -errno with one line in `error`. */
int keys_load(const struct conf *c, uint8_t secrets[TOKEN_KEYS_MAX][TOKEN_SECRET_LEN], unsigned *n, char *error, size_t size);

#endif
