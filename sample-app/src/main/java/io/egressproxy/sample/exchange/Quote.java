package io.egressproxy.sample.exchange;

import java.time.Instant;

/**
 * One answer of the local exchange.
 *
 * @param exchange which of its exchanges answers
 * @param symbol what is traded
 * @param price an invented price, as text like real exchanges send it: no digit may get lost
 * @param at when
 * @param seenFrom who asked, as this target saw it
 */
record Quote(String exchange, String symbol, String price, Instant at, String seenFrom) {}
