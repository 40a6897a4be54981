package io.egressproxy.settings;

/** A bean that adjusts the settings after they were bound, in the order of {@code @Order}. */
@FunctionalInterface
public interface ProxySettingsCustomizer {
    /**
     * Adjusts the settings.
     *
     * @param settings the settings so far; {@link ProxySettings#toBuilder()} starts from them
     * @return the settings to use
     */
    ProxySettings customize(ProxySettings settings);
}
