package io.egressproxy.service;

import java.util.List;
import reactor.core.publisher.Mono;

/**
 * Speaks with the proxy service. A bean of this type takes the place of the built-in one, for services with another
 * protocol; what is asked when, and what becomes of the answers, stays as it is.
 *
 * <p>Must not block, and must not connect through the proxies that the service gives.
 */
public interface ProxyServiceClient {

    /**
     * Asks once for a proxy, at whatever endpoints there are.
     *
     * @param request what is asked
     * @param correlationId goes with the request, and names it in logs
     * @return the answer as it came; {@link ProxyServiceException} if there is none
     */
    Mono<ProxyResponse> request(ProxyRequest request, String correlationId);

    /**
     * Whether it is known that no endpoint can be reached, so that asking would be a waste of time.
     *
     * @return false if the service can be reached, or nobody knows
     */
    default boolean isKnownToBeDown() {
        return false;
    }

    /**
     * Whether {@link #feedback} does anything.
     *
     * @return true if connections should be reported
     */
    default boolean takesFeedback() {
        return false;
    }

    /**
     * Reports how proxies do. Sent again with the same batch id if part of it could not be sent, so that the service can tell.
     *
     * @param batch the reports
     * @return what became of them
     */
    default Mono<FeedbackResult> feedback(ProxyFeedbackBatch batch) {
        return Mono.just(FeedbackResult.accepted(0, List.of()));
    }
}
