/* transports/heap.h - where OpenSSL's memory comes from. A handshake takes for a moment three times what its connection keeps,
 * and in glibc's heap the two lie mixed: with thousands of handshakes at once their room stays with the process, and so does
 * that of connections which are gone (29 KB each with 2,000 at once, here 16, and all of it kept). Here each size has pages of
 * its own (base/slab.h), which go back to the system when they are empty. Each thread has a heap; what another thread frees
 * is handed back to it. */
#ifndef TRANSPORTS_HEAP_H
#define TRANSPORTS_HEAP_H
#include <stddef.h>

/* Before anything else is asked of OpenSSL, while there is one thread. 0; -EALREADY: it has its memory from elsewhere by now.
 * Under ASan nothing is changed: that looks at each piece itself. */
int heap_init(void);
/* Gives empty pages of this thread's heap back, and takes in what others freed of it: now and then. */
void heap_trim(void);
/* Bytes of pages that this thread's heap holds. */
size_t heap_bytes(void);

/* How many requests of this thread have been refused for want of memory. OpenSSL does not always say so: what it could not make out, or
 * fetch, is missing or invalid from then on. */
unsigned long heap_refused(void);

/* As malloc, realloc and free; 16-byte aligned. Any thread. */
void *heap_alloc(size_t size);
void *heap_realloc(void *p, size_t size);
void heap_free(void *p);

#endif
