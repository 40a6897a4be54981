package io.egressproxy.service;

import io.egressproxy.ConnectionType;
import io.egressproxy.ExchangeId;

/**
 * What an answer is for.
 *
 * @param exchange the exchange
 * @param type what the connection is for
 * @param region where the proxy should be, or empty
 */
public record AnswerKey(ExchangeId exchange, ConnectionType type, String region) {}
