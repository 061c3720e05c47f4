/* Brings up the link that the options ask for: an instance on a TAP, or two instances on a virtual
 * wire. */
#ifndef TAPGLASS_APPS_LINK_H
#define TAPGLASS_APPS_LINK_H

#include "options.h"

struct link {
	struct tg_host *host;
	struct tg *stack; /* our end: the second address of the network, or --addr */
	struct tg *peer;  /* sim: the other instance, the first address; a TAP: NULL, that is the
			     kernel */
	int netif, peer_netif;
	struct tg_capture *capture; /* NULL: none */
	struct tg_ip stack_ip, host_ip;
	unsigned prefix_len;
	uint32_t mtu;
	uint8_t mac[6];
	char name[16]; /* of the TAP, or "sim" */
	bool made;     /* the TAP did not exist before */
};

/* app: what runs on the stack's instance. 0, or after a
 * message the exit status. *l is zero or to be closed in any case. */
int link_open(struct link *l, const struct options *o, const struct tg_host_app *app);
/* A failed write of the capture is reported: EXIT_OK or EXIT_FAILED. */
int link_close(struct link *l, const struct options *o);

#endif
