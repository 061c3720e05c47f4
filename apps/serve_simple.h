/* The small services on TCP and UDP: echo (RFC 862), discard (RFC 863), chargen (RFC 864). */
#ifndef TAPGLASS_APPS_SERVE_SIMPLE_H
#define TAPGLASS_APPS_SERVE_SIMPLE_H

#include "service.h"

#define PORT_ECHO    7
#define PORT_DISCARD 9
#define PORT_CHARGEN 19

struct simple_services;

/* Starts all three. v has to outlive the result. NULL: *rc is the library's error. */
struct simple_services *simple_start(struct services *v, uint64_t now_ns, int *rc);
void simple_free(struct simple_services *m);

#endif
