/* Reading a descriptor, standard input as a rule, without ever making the reader wait. */
#ifndef TAPGLASS_APPS_IN_H
#define TAPGLASS_APPS_IN_H

#include "tapglass_host.h"

struct in {
	int fd;
	bool own_fd; /* reopened, to be non-blocking without changing the shell's descriptor */
	bool is_socket, is_file, terminal;
	bool ended;    /* nothing more will come */
	bool watching; /* private */
};

void in_open(struct in *i, int fd);
/* Bytes read, 0 at the end, -EAGAIN, or another negative errno. */
int64_t in_read(struct in *i, void *buf, size_t n);
/* Whether the loop is to wake up when there is something to read. */
void in_watch(struct in *i, struct tg_host *h, bool wanted);
void in_close(struct in *i, struct tg_host *h);

#endif
