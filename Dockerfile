# One image for every command: gateway (serve, worker, migrate) and mock-partners.
FROM python:3.13-slim
WORKDIR /app
COPY pyproject.toml image.lock ./
COPY contracts contracts
COPY adapters adapters
COPY gateway gateway
COPY mock_partners mock_partners
RUN pip install --no-cache-dir --require-hashes --requirement image.lock \
    && pip install --no-cache-dir --no-deps . \
    && useradd --system --create-home gateway
USER gateway
EXPOSE 8000
CMD ["gateway", "serve", "--host", "0.0.0.0", "--port", "8000"]
