package io.egressproxy.service;

import io.egressproxy.ProxyEventListener;
import io.egressproxy.RetryAfter;
import io.egressproxy.service.ProxyServiceException.Reason;
import io.egressproxy.service.ServiceEndpoints.Endpoint;
import io.egressproxy.settings.ExternalServiceSettings;
import io.egressproxy.settings.ExternalServiceSettings.AuthCredentials;
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
    private static final Duration AVOIDED_AFTER_FAILURE = Duration.ofSeconds(5);
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
        return isPaused() || endpoints.areAllUnavailable();
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
        return endpoints.known().then(Mono.defer(() -> {
            if (isPaused()) {
                return Mono.error(
                        new ProxyServiceException(Reason.UNAUTHORIZED, "has rejected our credentials", null, null));
            }
            List<Endpoint> order = endpoints.inOrder();
            if (order.isEmpty()) {
                return Mono.error(
                        new ProxyServiceException(Reason.UNREACHABLE, "has no endpoint that may be asked", null, null));
            }
            // only then looks at the credentials, which may be read again before
            Mono<ProxyResponse> asked = Mono.defer(() -> ask(order, 0, request, correlationId, true));
            return paused
                    ? connection.areCredentialsOthers(connection.credentials()).then(asked)
                    : asked;
        }));
    }

    private Mono<ProxyResponse> ask(
            List<Endpoint> order, int index, ProxyRequest request, String correlationId, boolean firstTime) {
        Endpoint endpoint = order.get(index);
        AuthCredentials sent = connection.credentials();
        long startNanos = nanoTime.getAsLong();
        boolean last = index + 1 == order.size();
        return call(endpoint, request, correlationId, sent, attemptTimeout(order.size() - index))
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
                        return rejected(failure, sent, order, index, request, correlationId, firstTime);
                    }
                    avoid(endpoint, failure);
                    if (firstTime && order.size() == 1 && failure.reason() == Reason.UNREACHABLE) {
                        return ask(order, index, request, correlationId, false); // it may have been an accident
                    }
                    return last || !failure.reason().isWorthAnotherEndpoint()
                            ? Mono.error(failure)
                            : ask(order, index + 1, request, correlationId, firstTime);
                });
    }

    private void asked(Endpoint endpoint, String outcome, String correlationId, long startNanos) {
        events.serviceRequest(
                endpoint.toString(), outcome, correlationId, Duration.ofNanos(nanoTime.getAsLong() - startNanos));
    }

    private Mono<ProxyResponse> rejected(
            ProxyServiceException failure,
            AuthCredentials sent,
            List<Endpoint> order,
            int index,
            ProxyRequest request,
            String correlationId,
            boolean firstTime) {
        return connection
                .areCredentialsOthers(sent)
                .map(changed -> changed && firstTime)
                .flatMap(changed -> {
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
            case UNREACHABLE, TIMEOUT, TLS -> endpoints.avoid(endpoint, AVOIDED_AFTER_FAILURE);
            case THROTTLED, SERVER_ERROR -> {
                if (retryAfter != null) {
                    endpoints.leaveAlone(endpoint, retryAfter);
                }
            }
            default -> {
                // it can be reached
            }
        }
    }

    private void pause() {
        synchronized (pauseLock) {
            if (isPaused()) {
                return; // by another request that had been under way as well
            }
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

    private Mono<ProxyResponse> call(
            Endpoint endpoint,
            ProxyRequest request,
            String correlationId,
            AuthCredentials credentials,
            Duration timeout) {
        return connection
                .client()
                .post()
                .uri(endpoint.resolve(REQUEST_PATH))
                .headers(headers -> connection.authenticate(headers, credentials))
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
        if (cause.getClass().getSimpleName().startsWith("PoolAcquire")) { // of a package that is not for others
            return new ProxyServiceException(Reason.TIMEOUT, "is asked more than it can answer", null, null);
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
