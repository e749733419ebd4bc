/* topohide/aes.h - one block of AES-128 at a time, for tokens: by the processor's own instructions where it has them (they also take the
 * same time for every key), else by OpenSSL. Both give the same bytes. */
#ifndef TOPOHIDE_AES_H
#define TOPOHIDE_AES_H
#include <stdbool.h>
#include <stdint.h>

enum { AES_BLOCK = 16, AES_ROUNDS = 10 };

struct aes {
	_Alignas(16) uint8_t seal_key[AES_ROUNDS + 1][AES_BLOCK];
	_Alignas(16) uint8_t open_key[AES_ROUNDS + 1][AES_BLOCK];
	struct evp_cipher_ctx_st *seal, *open; /* without the instructions */
};

/* `use_processor` false: OpenSSL even where the instructions are there (tests hold the two against each other). 0 or -ENOMEM. */
int aes_init(struct aes *a, const uint8_t key[AES_BLOCK], bool use_processor);
void aes_fini(struct aes *a);
void aes_seal(const struct aes *a, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK]);
void aes_open(const struct aes *a, const uint8_t in[AES_BLOCK], uint8_t out[AES_BLOCK]);

#endif
