/* The transcript's calls: plain POSIX, or with -DTAPGLASS the same names on the stack. */
#ifndef TRANSCRIPT_H
#define TRANSCRIPT_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#ifdef TAPGLASS
#include "tapglass_sockets.h"
#define S(name) tg_##name
#else
#define S(name) name
#endif

/* Prints "what = value" or "what = -1 ENAME", counts the call, returns r. */
long say(const char *what, long r);
extern int calls;
#define DO(call) say(#call, (long)(call))

/* transcript.c */
struct sockaddr_in at(const char *ip, int port);
int port_of(int fd);
void show_addr(const char *what, const struct sockaddr_in *a, socklen_t len);
void show_bytes(const char *what, const void *data, long n);
void nap(int ms);
short ready(int fd, short events, int ms);
void pair(int *client, int *server);
int listener(int *port);

void tcp_basics(void);
void tcp_states(void);
void tcp_ends(void);
void tcp_urgent(void);
void udp_all(void);
void segments(void);
void raw_all(void);
void bad_calls(void);
void options(void);
void queues(void);
void finer_points(void);
void wrong_calls(void);

#endif
