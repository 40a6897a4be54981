package io.egressproxy.netty;

import io.egressproxy.Blame;
import io.egressproxy.ConnectionStage;

/**
 * What went wrong on the way through a proxy.
 *
 * @param stage how far the attempt had come
 * @param blame whose fault it was
 * @param detail what was seen, after the name of the proxy; without secrets
 * @param advice what to do about it
 */
record ProxyFault(ConnectionStage stage, Blame blame, String detail, String advice) {}
