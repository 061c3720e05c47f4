/* A program of several hundred socket calls that prints each with its result: run on the host's
 * kernel and on Tapglass, both over loopback, the two transcripts have to be equal line by line.
 * See transcript.sh. Ports and descriptors are shown only where they are the same. */
#include "transcript.h"

int calls;

long say(const char *what, long r)
{
	int e = errno;

	calls++;
	/* The same text for both. */
	printf("%3d ", calls);
	for (const char *c = what; *c; c++) {
		if (strncmp(c, "tg_", 3) == 0 && (c == what || c[-1] == '(' || c[-1] == ' '))
			c += 3;
		if (strncmp(c, "S(", 2) == 0) {
			const char *end = strchr(c, ')');

			printf("%.*s", (int)(end - c - 2), c + 2);
			c = end;
			continue;
		}
		putchar(*c);
	}
	if (r < 0)
		printf(" = %ld %s\n", r, strerrorname_np(e));
	else
		printf(" = %ld\n", r);
	fflush(stdout);
	errno = e;
	return r;
}

struct sockaddr_in at(const char *ip, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};

	inet_pton(AF_INET, ip, &a.sin_addr);
	return a;
}

int port_of(int fd)
{
	struct sockaddr_in a = {0};
	socklen_t len = sizeof(a);

	S(getsockname)(fd, (struct sockaddr *)&a, &len);
	return ntohs(a.sin_port);
}

void show_addr(const char *what, const struct sockaddr_in *a, socklen_t len)
{
	char ip[32] = "";

	if (len)
		inet_ntop(AF_INET, &a->sin_addr, ip, sizeof(ip));
	printf("    %s: %s len %u family %d port %s\n", what, ip, len, len ? a->sin_family : -1,
		!len          ? "-"
		: a->sin_port ? "set"
			      : "0");
}

void show_bytes(const char *what, const void *data, long n)
{
	printf("    %s: %.*s\n", what, n > 0 ? (int)n : 0, (const char *)data);
}

void nap(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&t, NULL);
}

short ready(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int r = S(poll)(&p, 1, ms);

	return r < 0 ? -1 : p.revents;
}

int listener(int *port)
{
	struct sockaddr_in a = at("127.0.0.1", 0);
	int fd = S(socket)(AF_INET, SOCK_STREAM, 0);

	S(bind)(fd, (struct sockaddr *)&a, sizeof(a));
	S(listen)(fd, 8);
	*port = port_of(fd);
	return fd;
}

void pair(int *client, int *server)
{
	int port, l = listener(&port);
	struct sockaddr_in a = at("127.0.0.1", port);

	*client = S(socket)(AF_INET, SOCK_STREAM, 0);
	if (S(connect)(*client, (struct sockaddr *)&a, sizeof(a)) < 0)
		printf("    pair: %s\n", strerrorname_np(errno));
	*server = S(accept)(l, NULL, NULL);
	S(close)(l);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	tcp_basics();
	tcp_states();
	tcp_ends();
	tcp_urgent();
	udp_all();
	segments();
	raw_all();
	bad_calls();
	options();
	queues();
	finer_points();
	wrong_calls();
	printf("%d calls\n", calls);
	return 0;
}
