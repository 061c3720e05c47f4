/* What `tapglass up` says first and last. */
#ifndef TAPGLASS_APPS_BANNER_H
#define TAPGLASS_APPS_BANNER_H

#include "link.h"
#include "livelog.h"

/* What is there, and what one can try: only what is true of this link. www: may be NULL. */
void banner_print(
	struct livelog *g, const struct options *o, const struct link *l, const char *www);
/* The closing summary. */
void summary_print(
	struct livelog *g, const struct options *o, const struct link *l, uint64_t start_ns);

#endif
