package io.egressproxy.service;

import io.egressproxy.Outcome;
import java.util.Locale;
import java.util.regex.Pattern;

/** The closed list of codes that {@code error_details} begins with. */
enum FeedbackError {
    /** The proxy did not answer in time. */
    TIMEOUT,
    /** It was not reached. */
    UNREACHABLE,
    /** TLS with it failed. */
    TLS,
    /** It rejected the credentials that the service gave. */
    CREDENTIALS,
    /** It does not speak the protocol of its URL. */
    PROTOCOL,
    /** It does not let us reach this target. */
    POLICY,
    /** It did not reach the target, or says so. */
    UPSTREAM,
    /** The target's fault, or that of what lies between. */
    TARGET,
    /** This machine's fault. */
    LOCAL;

    private static final int LONGEST_DETAIL = 256;
    private static final Pattern CONTROL = Pattern.compile("[\\p{Cc}\\p{Zl}\\p{Zp}]+");
    private static final Pattern USERINFO = Pattern.compile("//[^/\\s]*@");

    static FeedbackError of(Outcome.Failed failed) {
        if (failed.timedOut()) {
            return TIMEOUT;
        }
        return switch (failed.blame()) {
            case PROXY ->
                switch (failed.stage()) {
                    case TLS -> TLS;
                    case HANDSHAKE, TUNNEL -> PROTOCOL;
                    case SELECT, TCP -> UNREACHABLE;
                };
            case CREDENTIALS -> CREDENTIALS;
            case CONFIGURATION -> PROTOCOL;
            case POLICY -> POLICY;
            case AMBIGUOUS -> UPSTREAM;
            case TARGET -> TARGET;
            case LOCAL -> LOCAL;
        };
    }

    /**
     * What {@code error_details} says: the code and what was seen. The text may come from a client of the application's own.
     *
     * @param password what must not be in it, or empty
     */
    static String details(Outcome.Failed failed, String password) {
        String detail = USERINFO.matcher(CONTROL.matcher(failed.detail()).replaceAll(" "))
                .replaceAll("//***@");
        if (!password.isEmpty()) {
            detail = detail.replace(password, "***");
        }
        if (detail.length() > LONGEST_DETAIL) {
            detail = detail.substring(0, LONGEST_DETAIL);
        }
        return of(failed).name().toLowerCase(Locale.ROOT) + ": " + detail;
    }
}
