/**
 * The readers: each exchange is polled over HTTP and listened to over a WebSocket, with the clients that Spring hands
 * out. What arrived last, through whom, and what went wrong is kept in memory, logged and answered as JSON.
 */
@NullMarked
package io.egressproxy.sample.feed;

import org.jspecify.annotations.NullMarked;
