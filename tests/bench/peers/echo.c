/* SPDX-License-Identifier: Apache-2.0
 *
 * A bare libzmq ROUTER that sends back what it gets: the floor of whatever asks
 * over ZeroMQ.
 *
 *   echo ENDPOINT */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdio.h>
#include <zmq.h>

int
main(int argc, char **argv)
{
    void *context = zmq_ctx_new();
    void *router = zmq_socket(context, ZMQ_ROUTER);
    zmq_msg_t frame;

    if (argc != 2 || zmq_bind(router, argv[1]) != 0) {
        fprintf(stderr, "echo: %s\n",
                argc != 2 ? "usage: echo ENDPOINT" : zmq_strerror(zmq_errno()));
        return 1;
    }
    zmq_msg_init(&frame);
    while (zmq_msg_recv(&frame, router, 0) >= 0)
        zmq_msg_send(&frame, router, zmq_msg_more(&frame) ? ZMQ_SNDMORE : 0);
    return 1;
}
