package io.egressproxy.service;

import io.egressproxy.ProxyEventListener;
import io.egressproxy.RetryAfter;
import io.egressproxy.service.ProxyServiceException.Reason;
import io.egressproxy.service.ServiceEndpoints.Endpoint;
import io.egressproxy.settings.ExternalServiceSettings;
import io.netty.handler.timeout.ReadTimeoutException;
import java.io.IOException;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeoutException;
import java.util.function.LongSupplier;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.core.codec.DecodingException;
import org.springframework.core.io.buffer.DataBufferLimitException;
import org.springframework.http.HttpHeaders;
import org.springframework.http.HttpStatusCode;
import org.springframework.http.MediaType;
import org.springframework.web.reactive.function.UnsupportedMediaTypeException;
import org.springframework.web.reactive.function.client.ClientResponse;
import reactor.core.publisher.Mono;

/**
 * Speaks the protocol of the specification over HTTP. Goes from endpoint to endpoint while another might do better; leaves the
 * service alone for a while when it rejects our credentials.
 */
final class WebProxyServiceClient implements ProxyServiceClient {
    private static final Logger log = LoggerFactory.getLogger(WebProxyServiceClient.class);
    private static final String REQUEST_PATH = "/api/v1/proxy/request";
    static final String CORRELATION_ID = "X-Correlation-ID";
    private static final Duration DOWN_AFTER_FAILURE = Duration.ofSeconds(5);
    private static final Duration SHORTEST_ATTEMPT = Duration.ofMillis(200);
    private static final Duration FIRST_PAUSE = Duration.ofSeconds(60);
    private static final Duration LONGEST_PAUSE = Duration.ofMinutes(10);

    private final ExternalServiceSettings settings;
    private final ServiceEndpoints endpoints;
    private final ServiceConnection connection;
    private final WebFeedback feedback;
    private final AnswerValidator validator;
    private final ProxyEventListener events;
    private final LongSupplier nanoTime;
    private final Object pauseLock = new Object();
    private volatile boolean paused;
    private volatile long pausedUntilNanos;
    private int pauses;

    WebProxyServiceClient(
            ExternalServiceSettings settings,
            ServiceEndpoints endpoints,
            ServiceConnection connection,
            WebFeedback feedback,
            AnswerValidator validator,
            ProxyEventListener events,
            LongSupplier nanoTime) {
        this.events = events;
        this.settings = settings;
        this.endpoints = endpoints;
        this.connection = connection;
        this.feedback = feedback;
        this.validator = validator;
        this.nanoTime = nanoTime;
    }

    @Override
    public boolean isKnownToBeDown() {
        return isPaused() || endpoints.areAllDown();
    }

    private boolean isPaused() {
        return paused && nanoTime.getAsLong() - pausedUntilNanos < 0;
    }

    @Override
    public boolean takesFeedback() {
        return true;
    }

    @Override
    public Mono<FeedbackResult> feedback(ProxyFeedbackBatch batch) {
        return feedback.send(batch);
    }

    @Override
    public Mono<ProxyResponse> request(ProxyRequest request, String correlationId) {
        return Mono.defer(() -> {
            if (isPaused()) {
                return Mono.error(
                        new ProxyServiceException(Reason.UNAUTHORIZED, "has rejected our credentials", null, null));
            }
            List<Endpoint> order = endpoints.inOrder();
            if (order.isEmpty()) {
                return Mono.error(new ProxyServiceException(Reason.UNREACHABLE, "has no endpoint", null, null));
            }
            Mono<ProxyResponse> asked = ask(order, 0, request, correlationId, true);
            return paused ? connection.credentialsReadAgain().then(asked) : asked;
        });
    }

    private Mono<ProxyResponse> ask(
            List<Endpoint> order, int index, ProxyRequest request, String correlationId, boolean firstCredentials) {
        Endpoint endpoint = order.get(index);
        long startNanos = nanoTime.getAsLong();
        boolean last = index + 1 == order.size();
        return call(endpoint, request, correlationId, attemptTimeout(order.size() - index))
                .doOnNext(answer -> {
                    asked(endpoint, "success", correlationId, startNanos);
                    endpoints.answered(endpoint);
                    accepted();
                    log.debug("{} [{}]: {} answered {}", request, correlationId, endpoint, answer);
                })
                .onErrorResume(ProxyServiceException.class, failure -> {
                    asked(endpoint, failure.reason().id(), correlationId, startNanos);
                    log.debug("{} [{}]: {}: {}", request, correlationId, endpoint, failure.getMessage());
                    if (failure.reason() == Reason.UNAUTHORIZED) {
                        return rejected(failure, order, index, request, correlationId, firstCredentials);
                    }
                    avoid(endpoint, failure);
                    return last || !failure.reason().isWorthAnotherEndpoint()
                            ? Mono.error(failure)
                            : ask(order, index + 1, request, correlationId, firstCredentials);
                });
    }

    private void asked(Endpoint endpoint, String outcome, String correlationId, long startNanos) {
        events.serviceRequest(
                endpoint.toString(), outcome, correlationId, Duration.ofNanos(nanoTime.getAsLong() - startNanos));
    }

    private Mono<ProxyResponse> rejected(
            ProxyServiceException failure,
            List<Endpoint> order,
            int index,
            ProxyRequest request,
            String correlationId,
            boolean firstCredentials) {
        Mono<Boolean> others = firstCredentials ? connection.credentialsReadAgain() : Mono.just(false);
        return others.flatMap(changed -> {
            if (changed) {
                return ask(order, index, request, correlationId, false);
            }
            pause();
            return Mono.error(failure);
        });
    }

    /** What is left of the time that a caller waits is shared, so that an endpoint that hangs does not use it up. */
    private Duration attemptTimeout(int endpointsLeft) {
        Duration whole = Duration.ofSeconds(settings.timeoutSeconds());
        if (endpointsLeft == 1) {
            return whole;
        }
        Duration share = settings.fallbackAfter().dividedBy(endpointsLeft);
        Duration attempt = share.compareTo(SHORTEST_ATTEMPT) < 0 ? SHORTEST_ATTEMPT : share;
        return attempt.compareTo(whole) < 0 ? attempt : whole;
    }

    private void avoid(Endpoint endpoint, ProxyServiceException failure) {
        Duration retryAfter = failure.retryAfter();
        switch (failure.reason()) {
            case UNREACHABLE, TIMEOUT, TLS -> endpoints.down(endpoint, DOWN_AFTER_FAILURE);
            case THROTTLED, SERVER_ERROR -> {
                if (retryAfter != null) {
                    endpoints.down(endpoint, retryAfter);
                }
            }
            default -> {
                // it can be reached
            }
        }
    }

    private void pause() {
        synchronized (pauseLock) {
            Duration pause = FIRST_PAUSE.multipliedBy(1L << Math.min(pauses++, 10));
            Duration limited = pause.compareTo(LONGEST_PAUSE) < 0 ? pause : LONGEST_PAUSE;
            pausedUntilNanos = nanoTime.getAsLong() + limited.toNanos();
            paused = true;
            log.warn(
                    "The proxy service rejects our credentials; it is asked again in {} s, with"
                            + " proxy.external-service.auth-credentials as they are then",
                    limited.toSeconds());
        }
    }

    private void accepted() {
        if (paused) {
            synchronized (pauseLock) {
                paused = false;
                pauses = 0;
            }
        }
    }

    private Mono<ProxyResponse> call(Endpoint endpoint, ProxyRequest request, String correlationId, Duration timeout) {
        return connection
                .client()
                .post()
                .uri(endpoint.resolve(REQUEST_PATH))
                .headers(connection::authenticate)
                .header(CORRELATION_ID, correlationId)
                .contentType(MediaType.APPLICATION_JSON)
                .accept(MediaType.APPLICATION_JSON)
                .bodyValue(request)
                .exchangeToMono(WebProxyServiceClient::read)
                .timeout(timeout)
                .flatMap(this::checked)
                .onErrorMap(WebProxyServiceClient::explained);
    }

    /** Checked here as well: another endpoint may give an answer that is in order. */
    private Mono<ProxyResponse> checked(ProxyResponse response) {
        return Mono.fromCallable(() -> {
            validator.validated(response, "", nanoTime.getAsLong());
            return response;
        });
    }

    private static Mono<ProxyResponse> read(ClientResponse response) {
        HttpStatusCode status = response.statusCode();
        if (status.is2xxSuccessful()) {
            return response.bodyToMono(ProxyResponse.class)
                    .switchIfEmpty(Mono.error(() -> invalid("answered with nothing")));
        }
        Mono<ProxyResponse> failure =
                Mono.error(() -> failure(status, response.headers().asHttpHeaders()));
        return ServiceConnection.discard(response).then(failure);
    }

    private static ProxyServiceException failure(HttpStatusCode status, HttpHeaders headers) {
        int code = status.value();
        Reason reason =
                switch (code) {
                    case 400, 422 -> Reason.REJECTED;
                    case 401, 403 -> Reason.UNAUTHORIZED;
                    case 429 -> Reason.THROTTLED;
                    default -> code >= 500 ? Reason.SERVER_ERROR : Reason.NOT_FOUND;
                };
        return new ProxyServiceException(
                reason, "answered " + code, RetryAfter.parse(headers.getFirst(HttpHeaders.RETRY_AFTER)), null);
    }

    static ProxyServiceException invalid(String detail) {
        return new ProxyServiceException(Reason.INVALID_ANSWER, detail, null, null);
    }

    /** Causes that may quote an answer are dropped. */
    static Throwable explained(Throwable cause) {
        if (cause instanceof ProxyServiceException) {
            return cause;
        }
        if (has(cause, DataBufferLimitException.class)) {
            return invalid("answered with more than 64 KiB");
        }
        if (has(cause, UnsupportedMediaTypeException.class)) {
            return invalid("answered with something that is not application/json");
        }
        if (has(cause, DecodingException.class)) {
            return invalid("answered with JSON that is broken, or of another shape");
        }
        if (has(cause, TimeoutException.class) || has(cause, ReadTimeoutException.class)) {
            return new ProxyServiceException(Reason.TIMEOUT, "did not answer in time", null, null);
        }
        if (has(cause, SSLException.class)) {
            return new ProxyServiceException(Reason.TLS, "failed in TLS", null, cause);
        }
        if (has(cause, UnknownHostException.class)) {
            return new ProxyServiceException(Reason.UNREACHABLE, "has a host name that does not resolve", null, null);
        }
        if (has(cause, IOException.class)) {
            return new ProxyServiceException(Reason.UNREACHABLE, "cannot be reached", null, cause);
        }
        return invalid("gave an answer that cannot be read (" + cause.getClass().getSimpleName() + ")");
    }

    private static boolean has(@Nullable Throwable failure, Class<? extends Throwable> type) {
        return Stream.iterate(failure, cause -> cause != null, Throwable::getCause)
                .limit(20)
                .anyMatch(type::isInstance);
    }
}
