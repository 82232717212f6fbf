# The image for every command of the gateway, and a second one, of which nothing runs in production, with the mock partners in it.
FROM python:3.13-slim AS parts
WORKDIR /app
COPY image.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement image.lock && useradd --system --create-home gateway

FROM parts AS mocks
COPY mock_partners mock_partners
USER gateway
CMD ["python", "-m", "mock_partners", "--help"]

FROM parts AS gateway
COPY contracts contracts
COPY adapters adapters
COPY gateway gateway
USER gateway
EXPOSE 8000
CMD ["python", "-m", "gateway", "serve", "--host", "0.0.0.0", "--port", "8000"]
